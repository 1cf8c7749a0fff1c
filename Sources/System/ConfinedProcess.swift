// The parent's side of a process that parses strangers' files: started, talked to with deadlines, and ended.

internal import CGraftSystem
internal import CSandbox

/// A child process and the socket to it; killed and reaped at the latest when the value ends.
///
/// In the child, descriptor 0 is the socket, 1 and 2 are `/dev/null`, 3 is the file that was passed,
/// and the environment holds no more than libraries need to be found.
package struct ConfinedProcess: ~Copyable, Sendable {
    /// A system call that failed while the process was started.
    package struct Failure: Error {
        /// The operation that was tried, for "cannot … `subject`".
        package let operation: String
        /// The object of the operation; nil if it has no name.
        package let subject: String?
        /// The `errno`.
        package let code: Int32
    }

    /// The end of a process.
    package enum Ending: Sendable, Hashable {
        /// By itself, with this status.
        case exited(status: Int32)
        /// By this signal.
        case killed(signal: Int32)

        /// It took more processor time than it may.
        package static var outOfTime: Ending { .killed(signal: SIGXCPU) }
        /// It was ended by its parent, or for taking too much memory.
        package static var stopped: Ending { .killed(signal: SIGKILL) }
    }

    private let process: pid_t
    private let socket: Int32
    private var ending: Ending?

    /// Starts `program` with `arguments`, and passes it a duplicate of the descriptor `file`.
    package init(
        program: String, arguments: [String], passing file: Int32? = nil
    ) throws(Failure) {
        var sockets: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | O_CLOEXEC, 0, &sockets) == 0 else {
            throw Failure(operation: "start", subject: program, code: graft_errno())
        }
        defer { close(sockets[1]) }
        // `dup2` onto itself would keep `FD_CLOEXEC`, and 0 to 3 are taken by what the child gets.
        var raised: Int32?
        if let file {
            raised = graft_duplicate(file, 16)
            guard let raised, raised >= 0 else {
                let code = graft_errno()
                close(sockets[0])
                throw Failure(operation: "pass a file to", subject: program, code: code)
            }
        }
        defer { if let raised { close(raised) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, sockets[1], 0)
        if let raised { posix_spawn_file_actions_adddup2(&actions, raised, 3) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var settings: [UnsafeMutablePointer<CChar>?] = Self.environment.map { strdup($0) }
        settings.append(nil)
        defer { for setting in settings { free(setting) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, program, &actions, nil, &words, &settings)
        guard status == 0 else {
            close(sockets[0])
            throw Failure(operation: "run", subject: program, code: status)
        }
        self.process = process
        socket = sockets[0]
    }

    deinit {
        close(socket)
        guard ending == nil else { return }
        kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, graft_errno() == EINTR {}
    }

    /// A crash of the child is an answer, and needs no backtrace.
    private static var environment: [String] {
        let names = ["LD_LIBRARY_PATH", "LIBHEIF_PLUGIN_PATH"]
        let kept = names.compactMap { (name: String) -> String? in
            Environment.value(of: name).map { "\(name)=\($0)" }
        }
        return kept + ["SWIFT_BACKTRACE=enable=no"]
    }

    /// Sends all of `bytes`; false if the process did not take them before `deadline`.
    package func send(_ bytes: UnsafeRawBufferPointer, before deadline: ContinuousClock.Instant)
        -> Bool
    {
        var rest = bytes
        while !rest.isEmpty {
            guard wait(for: Int16(POLLOUT), before: deadline) else { return false }
            let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            let count = CGraftSystem.send(socket, rest.baseAddress, min(rest.count, 1 << 20), flags)
            if count < 0, graft_errno() == EINTR || graft_errno() == EAGAIN { continue }
            guard count > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        return true
    }

    /// Fills `target` from what the process sends; false if it did not send that before `deadline`.
    package func fill(
        _ target: UnsafeMutableRawBufferPointer, before deadline: ContinuousClock.Instant
    ) -> Bool {
        var rest = target
        // One that is alive and sends a byte now and then is no better than one that is silent.
        while !rest.isEmpty {
            guard wait(for: Int16(POLLIN), before: deadline) else { return false }
            let count = read(socket, rest.baseAddress, min(rest.count, 1 << 30))
            if count < 0, graft_errno() == EINTR { continue }
            guard count > 0 else { return false }
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[count...])
        }
        return true
    }

    private func wait(for events: Int16, before deadline: ContinuousClock.Instant) -> Bool {
        while true {
            let left = deadline - ContinuousClock.now
            guard left > .zero else { return false }
            let milliseconds =
                min(left.components.seconds, 86_400) * 1_000 + 1
                + left.components.attoseconds / 1_000_000_000_000_000
            var request = pollfd(fd: socket, events: events, revents: 0)
            let count = poll(&request, 1, Int32(clamping: milliseconds))
            if count < 0, graft_errno() == EINTR { continue }
            // An error or a hang-up is for the call that follows to report.
            if count != 0 { return count > 0 }
        }
    }

    /// Ends the process, if it still runs, and says how it ended: of one that had ended by itself,
    /// its own status or signal.
    package mutating func end() -> Ending {
        if let ending { return ending }
        kill(process, SIGKILL)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, graft_errno() == EINTR {}
        let signal = status & 0x7F
        let ending: Ending =
            signal == 0 ? .exited(status: status >> 8 & 0xFF) : .killed(signal: signal)
        self.ending = ending
        return ending
    }

    /// A nameless file in memory, closed when a program is run.
    package static func memoryFile(for path: String) throws(FileError) -> FileDescriptor {
        let file = graft_sandbox_memory_file()
        guard file >= 0 else { throw FileError(.makeRoom, at: path, .current) }
        return FileDescriptor(takingOver: file, path: path)
    }

    /// A nameless file in memory, closed when a program is run; negative with `errno` set if there
    /// cannot be one.
    package static func memoryFile() -> Int32 { graft_sandbox_memory_file() }
}
