internal import Glibc
internal import KapsuleCore

/// This process.
public enum CurrentProcess {
    /// Ends the process.
    public static func exit(_ status: Int32) -> Never { Glibc.exit(status) }

    /// Leaves the work to other threads, one of which ends the process.
    public static func rest() -> Never { while true { pause() } }

    /// Sets a variable for this process and those it starts. Before other threads read the environment.
    public static func setEnvironment(_ name: String, _ value: String) { _ = unsafe setenv(name, value, 1) }

    /// For files that are gone with the process: `TMPDIR`, else `/tmp`.
    public static var temporaryDirectory: String {
        guard let path = unsafe getenv("TMPDIR"), unsafe path.pointee != 0 else { return "/tmp" }
        return unsafe String(cString: path)
    }

    /// The user's own directory: `HOME`, else what the system says.
    public static func home() throws -> String {
        if let home = unsafe getenv("HOME"), unsafe home.pointee != 0 { return unsafe String(cString: home) }
        guard let user = unsafe getpwuid(getuid()) else {
            throw KapsuleError(
                .usage, id: "io.no-home", "the user has no home directory", remedy: "set HOME to one")
        }
        return unsafe String(cString: user.pointee.pw_dir)
    }
}
