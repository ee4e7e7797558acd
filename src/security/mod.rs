//! Who may do what: today the words of authorisation only, with which every API row states what it asks for.
