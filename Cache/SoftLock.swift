// A lock for file systems whose `flock` fails or keeps nobody out: a file that only one program can make.

import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// `<lock>.owner`, made with `O_EXCL` and removed at the end. Its owner touches it every few seconds; one
/// that nobody touched for a minute, or whose process is gone, is taken over.
///
/// It saves work and is no proof of being alone: a program that was stopped for a minute loses it
/// unnoticed. Whoever holds one writes to names of its own and renames.
// Unchecked for the timer alone, which Dispatch lets any thread use.
final class SoftLock: @unchecked Sendable {
    private let path: String
    private let text: String
    private let timer: any DispatchSourceTimer

    private static let heartbeat = 10.0
    private static let maximumSilence = 60.0

    /// Takes the lock at once; nil where somebody has it.
    init?(trying lock: String) {
        path = lock + ".owner"
        let random = UInt64.random(in: 0 ... .max)
        text = "\(getpid()) \(Self.host) \(String(random, radix: 36))\n"
        if !Self.make(path, text) {
            guard Self.isAbandoned(path), Self.clear(path), Self.make(path, text) else {
                return nil
            }
        }
        timer = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
        timer.setEventHandler { [path] in utimensat(AT_FDCWD, path, nil, AT_SYMLINK_NOFOLLOW) }
        timer.schedule(deadline: .now() + Self.heartbeat, repeating: Self.heartbeat)
        timer.resume()
    }

    deinit {
        timer.cancel()
        // Only what is still ours.
        if Files.read(path, limit: 4096).map({ String(decoding: $0, as: UTF8.self) }) == text {
            unlink(path)
        }
    }

    private static func make(_ path: String, _ text: String) -> Bool {
        let file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o664)
        guard file >= 0 else { return false }
        defer { close(file) }
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) } == bytes.count
    }

    /// Whether its owner is gone.
    static func isAbandoned(_ path: String) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0 else { return true }
        let parts =
            (Files.read(path, limit: 4096).map { String(decoding: $0, as: UTF8.self) } ?? "")
            .split(separator: " ")
        if parts.count >= 2, parts[1] == host, let process = pid_t(parts[0]) {
            return kill(process, 0) != 0 && errno == ESRCH
        }
        // The clock of the file system's machine counts, not ours.
        let probe = "\(path).\(HubCache.infix())"
        guard make(probe, "") else { return false }
        defer { unlink(probe) }
        var now = stat()
        guard stat(probe, &now) == 0 else { return false }
        let (silence, overflow) = now.st_mtim.tv_sec.subtractingReportingOverflow(
            status.st_mtim.tv_sec)
        return !overflow && Double(silence) > maximumSilence
    }

    /// Takes an abandoned lock away; one program alone succeeds.
    private static func clear(_ path: String) -> Bool {
        let aside = "\(path).\(HubCache.infix())"
        guard rename(path, aside) == 0 else { return false }
        unlink(aside)
        return true
    }

    /// This machine since it was started: numbers of processes mean nothing beyond.
    private static let host: String = {
        let name = Files.read("/proc/sys/kernel/random/boot_id", first: 36) ?? []
        return name.isEmpty ? "unknown-\(getpid())" : String(decoding: name, as: UTF8.self)
    }()
}

/// Whether `flock` keeps others out where a file is: found out once for each file system.
enum LockSupport {
    private static let known = Mutex<[UInt64: Bool]>([:])

    /// Tries it with a file of its own beside `path`.
    static func works(beside path: String) -> Bool {
        let folder = path.pathParent ?? "."
        var status = stat()
        guard stat(folder.isEmpty ? "/" : folder, &status) == 0 else { return true }
        let device = UInt64(status.st_dev)
        if let found = known.withLock({ $0[device] }) { return found }
        guard let found = probe(folder) else { return true }
        known.withLock { $0[device] = found }
        if !found {
            Notices.sayOnce(
                "warning: `flock` does not keep other programs out at `\(folder)`: lock files with an "
                    + "owner are used instead; an interrupted download starts over there")
        }
        return found
    }

    /// nil where nothing can be tried.
    private static func probe(_ folder: String) -> Bool? {
        let path = "\(folder)/.graft-lock-\(HubCache.infix())"
        let one = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard one >= 0 else { return nil }
        defer {
            close(one)
            unlink(path)
        }
        let two = open(path, O_RDWR | O_CLOEXEC)
        guard two >= 0 else { return nil }
        defer { close(two) }
        guard flock(one, LOCK_EX | LOCK_NB) == 0 else {
            return errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK ? false : nil
        }
        return flock(two, LOCK_EX | LOCK_NB) != 0
    }
}
