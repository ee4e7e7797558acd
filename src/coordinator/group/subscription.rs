//! What a member of protocol type `consumer` subscribed to, read from the metadata of its JoinGroup.
//!
//! Only the version and the topic names at its start are read, as by Kafka's
//! `ConsumerProtocol.deserializeConsumerProtocolSubscription(buffer, 0)`.

/// The topics in a `ConsumerProtocolSubscription` (version, array of topic names, …); `None` when the bytes are not one.
pub fn subscribed_topics(metadata: &[u8]) -> Option<Vec<&str>> {
    let mut rest = metadata;
    let mut take = |count: usize| -> Option<&[u8]> {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    let version = i16::from_be_bytes(take(2)?.try_into().ok()?);
    if version < 0 {
        return None;
    }
    let count = i32::from_be_bytes(take(4)?.try_into().ok()?);
    let mut topics = Vec::new();
    for _ in 0..u32::try_from(count).ok()? {
        let length = i16::from_be_bytes(take(2)?.try_into().ok()?);
        topics.push(std::str::from_utf8(take(usize::try_from(length).ok()?)?).ok()?);
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_and_what_follows_is_left() {
        assert_eq!(subscribed_topics(b"\0\x03\0\0\0\x02\0\x01t\0\x02uv\xff\xff"), Some(vec!["t", "uv"]));
        assert_eq!(subscribed_topics(b"\0\0\0\0\0\0"), Some(vec![]));
    }

    #[test]
    fn bytes_of_other_protocols_are_no_subscription() {
        for metadata in [&b""[..], b"\0", b"\xff\xff\0\0\0\0", b"\0\0\xff\xff\xff\xff", b"\0\0\x7f\xff\xff\xff\0\x01t"]
        {
            assert_eq!(subscribed_topics(metadata), None);
        }
    }
}
