// A lock for file systems whose `flock` fails or keeps nobody out: a file that only one program can make.

import Dispatch
import GraftSystem
import Synchronization

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
        text = "\(CurrentProcess.id) \(Self.host) \(String(random, radix: 36))\n"
        if !Self.make(path, text) {
            guard Self.isAbandoned(path), Self.clear(path), Self.make(path, text) else {
                return nil
            }
        }
        timer = DispatchSource.makeTimerSource(queue: .global(qos: .utility))
        timer.setEventHandler { [path] in FileSystem.touch(path) }
        timer.schedule(deadline: .now() + Self.heartbeat, repeating: Self.heartbeat)
        timer.resume()
    }

    deinit {
        timer.cancel()
        // Only what is still ours.
        if Files.read(path, limit: 4096).map({ String(decoding: $0, as: UTF8.self) }) == text {
            removeFile(path)
        }
    }

    private static func make(_ path: String, _ text: String) -> Bool {
        guard
            let file = try? FileDescriptor(
                opening: path, for: .writing, [.exclusive, .noLink], permissions: 0o664)
        else { return false }
        return file.writeAtOnce(Array(text.utf8))
    }

    /// Whether its owner is gone.
    static func isAbandoned(_ path: String) -> Bool {
        guard let status = FileSystem.find(path, followsLinks: false) else { return true }
        let parts =
            (Files.read(path, limit: 4096).map { String(decoding: $0, as: UTF8.self) } ?? "")
            .split(separator: " ")
        if parts.count >= 2, parts[1] == host, let process = Int32(parts[0]) {
            return !CurrentProcess.isRunning(process)
        }
        // The clock of the file system's machine counts, not ours.
        let probe = "\(path).\(HubCache.infix())"
        guard make(probe, "") else { return false }
        defer { removeFile(probe) }
        guard let now = FileSystem.find(probe) else { return false }
        let (silence, overflow) = now.modified.seconds.subtractingReportingOverflow(
            status.modified.seconds)
        return !overflow && Double(silence) > maximumSilence
    }

    /// Takes an abandoned lock away; one program alone succeeds.
    private static func clear(_ path: String) -> Bool {
        let aside = "\(path).\(HubCache.infix())"
        guard (try? FileSystem.rename(path, to: aside)) != nil else { return false }
        removeFile(aside)
        return true
    }

    /// This machine since it was started: numbers of processes mean nothing beyond.
    private static let host: String = {
        let name = Files.read("/proc/sys/kernel/random/boot_id", first: 36) ?? []
        return name.isEmpty ? "unknown-\(CurrentProcess.id)" : String(decoding: name, as: UTF8.self)
    }()
}

/// Whether `flock` keeps others out where a file is: found out once for each file system.
enum LockSupport {
    private static let known = Mutex<[UInt64: Bool]>([:])

    /// Tries it with a file of its own beside `path`.
    static func works(beside path: String) -> Bool {
        let folder = path.pathParent ?? "."
        guard let device = FileSystem.find(folder.isEmpty ? "/" : folder)?.device else {
            return true
        }
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
        guard
            let one = try? FileDescriptor(
                opening: path, for: .updating, .exclusive, permissions: 0o600)
        else { return nil }
        defer { removeFile(path) }
        guard let two = try? FileDescriptor(opening: path, for: .updating) else { return nil }
        do {
            guard let first = try LockedFile(trying: one) else { return nil }
            defer { extendLifetime(first) }
            // The same process, by another opening of the file: locks that work keep it out.
            return try LockedFile(trying: two) == nil
        } catch {
            return error.errno.isUnsupported ? false : nil
        }
    }
}
