//! The simulator's binary: everything it does is in `ottla::sim`.

fn main() -> std::process::ExitCode {
    ottla::sim::main()
}
