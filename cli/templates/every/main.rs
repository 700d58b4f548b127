fn main() -> std::process::ExitCode {
    isobar::main({{crate}}::app)
}
