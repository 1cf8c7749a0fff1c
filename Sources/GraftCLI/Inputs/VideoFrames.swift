// The frames of a video or a camera, decoded by the program ffmpeg.

import Glibc
import GraftImages
import GraftTensors

/// The frames of a video, one per interval, as ffmpeg writes them to a pipe (Netpbm's P6, which says its
/// own size). ffmpeg gets its arguments as a list, may open files only, and is stopped if it is silent
/// for a minute.
final class VideoFrames {
    private static let silence: Int32 = 60_000

    private let path: String
    private let every: Interval
    private let process: pid_t
    private let output: Int32
    private let complaints: UnsafeMutablePointer<FILE>?
    private var buffer: [UInt8] = []
    private var start = 0
    private var isOver = false
    private var number = 0

    /// Starts ffmpeg.
    ///
    /// - Throws: ``InputError/noFFmpeg(_:)`` where it is not installed.
    init(_ path: String, every: Interval) throws {
        self.path = path
        self.every = every
        let isCamera = path.hasPrefix("/dev/")
        let arguments =
            [
                "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist",
                "file,pipe",
            ] + (isCamera ? ["-f", "v4l2", "-i", path] : ["-i", "file:" + path]) + [
                "-an", "-sn", "-dn", "-vf", "fps=fps=1000/\(every.milliseconds)", "-f",
                "image2pipe", "-c:v", "ppm", "pipe:1",
            ]
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw FileError("read", path) }
        // Another copy of the reading end would keep ffmpeg alive when nobody reads any more.
        for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // What it complains about is read when it has ended: it could fill a pipe.
        complaints = tmpfile()
        let errors = complaints.map { fileno($0) } ?? -1
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO)
        if errors >= 0 { posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO) }
        let list = arguments.map { strdup($0) } + [nil]
        defer { for argument in list { free(argument) } }
        var process: pid_t = 0
        let failure = posix_spawnp(&process, "ffmpeg", &actions, nil, list, environ)
        close(pipes[1])
        output = pipes[0]
        self.process = failure == 0 ? process : -1
        guard failure == 0 else { throw InputError.noFFmpeg(path) }
    }

    deinit {
        if process > 0 {
            kill(process, SIGKILL)
            while waitpid(process, nil, 0) < 0, errno == EINTR {}
        }
        close(output)
        if let complaints { fclose(complaints) }
    }

    /// The next frame and its time in the video; nil after the last.
    func next() throws -> ImageInput? {
        guard let width = try header("P6"), let height = try header(), let most = try header()
        else {
            if number == 0 { throw undecoded() }
            return nil
        }
        let limits = ImageLimits()
        guard most == 255, (1...limits.side).contains(width), (1...limits.side).contains(height),
            width * height <= limits.pixels
        else {
            throw InputError.undecoded(path, reason: "a frame of \(width) × \(height) pixels")
        }
        let count = width * height * 3
        guard try fill(count) else { return nil }
        let pixels = Array(buffer[start..<(start + count)])
        start += count
        let time = Double(number) * Double(every.milliseconds) / 1000
        number += 1
        return ImageInput(
            "\(path)@\(decimals(time, every.milliseconds % 1000 == 0 ? 0 : 3))s",
            .frame(Image(sized: width, height, pixels)))
    }

    /// The next number of a frame's header, after `word`; one byte ends it. Nil at the end.
    private func header(_ word: String = "") throws -> Int? {
        guard try fill(word.utf8.count) else { return nil }
        guard buffer[start...].starts(with: word.utf8) else {
            throw InputError.undecoded(path, reason: "it writes something else than frames")
        }
        start += word.utf8.count
        var value: Int?
        while try fill(1) {
            let byte = buffer[start]
            start += 1
            guard (48...57).contains(byte) else {
                if let value { return value }
                continue
            }
            value = min((value ?? 0) * 10 + Int(byte - 48), 1 << 30)
        }
        return nil
    }

    /// Waits until so many bytes are there; false if ffmpeg has ended before.
    private func fill(_ count: Int) throws -> Bool {
        if start > 0, buffer.count - start < count {
            buffer.removeFirst(start)
            start = 0
        }
        while buffer.count - start < count, !isOver {
            var waiting = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            let ready = poll(&waiting, 1, Self.silence)
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else {
                throw InputError.undecoded(
                    path, reason: "it wrote nothing for \(Self.silence / 1000) seconds")
            }
            var piece = [UInt8](repeating: 0, count: 1 << 18)
            let read = Glibc.read(output, &piece, piece.count)
            if read < 0, errno == EINTR { continue }
            if read <= 0 { isOver = true } else { buffer += piece[..<read] }
        }
        return buffer.count - start >= count
    }

    /// Why there is no frame, in ffmpeg's words.
    private func undecoded() -> InputError {
        var text = [UInt8](repeating: 0, count: 4096)
        let count = complaints.map { pread(fileno($0), &text, text.count, 0) } ?? 0
        let line = String(decoding: text.prefix(max(count, 0)), as: UTF8.self)
            .split(separator: "\n").last.map(String.init)
        return .undecoded(path, reason: line ?? "it found no frames")
    }
}
