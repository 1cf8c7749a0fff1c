// What the server asks of the system beyond sockets: regular files, the limit of open files, the time.

import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A regular file that is answered with: it stays what it was when it was opened, even if it is replaced or
/// removed meanwhile.
public final class ServedFile: Sendable {
    private static let operation = "open"
    private let descriptor: Int32
    /// The size of the file in bytes, when it was opened.
    public let byteCount: Int

    /// Opens a regular file for reading.
    ///
    /// - Parameter followsLink: Whether the last part of the path may be a symbolic link.
    /// - Throws: `FileError` if the path is missing, not a regular file or cannot be opened.
    public init(_ path: String, followsLink: Bool = false) throws {
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK
        let descriptor = open(path, followsLink ? flags : flags | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileError(Self.operation, path) }
        var status = stat()
        let isRegular = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
        guard isRegular else {
            close(descriptor)
            throw FileError(Self.operation, path, code: EINVAL)
        }
        self.descriptor = descriptor
        byteCount = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// Fills a buffer with the bytes at an offset, as far as the file has them.
    ///
    /// - Returns: The number of bytes; fewer than the buffer has where the file ends or cannot be read.
    public func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        var filled = 0
        while filled < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + filled))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            filled += count
        }
        return filled
    }

    /// Whether an error of opening a file means that the process has no descriptor left.
    public static func isExhausted(_ error: any Error) -> Bool {
        guard let error = error as? FileError else { return false }
        return error.code == EMFILE || error.code == ENFILE
    }
}

/// The limit of open files of this process.
enum FileLimit {
    /// The number of files that may be open; the soft limit is raised to the hard one first.
    static func raised() -> Int {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return 1024 }
        if limit.rlim_cur < limit.rlim_max {
            var higher = limit
            higher.rlim_cur = limit.rlim_max
            if setrlimit(resource, &higher) == 0 { limit = higher }
        }
        return Int(min(limit.rlim_cur, rlim_t(1 << 20)))
    }
}

/// The present as HTTP and RFC 3339 write it.
enum Moment {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`.
    static var httpDate: String {
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        let now = parts()
        return "\(days[Int(now.tm_wday) % 7]), \(padded(now.tm_mday)) "
            + "\(months[Int(now.tm_mon) % 12]) \(1900 + now.tm_year) \(clock(now)) GMT"
    }

    /// `1994-11-06T08:49:37Z`.
    static var rfc3339: String {
        let now = parts()
        return
            "\(1900 + now.tm_year)-\(padded(now.tm_mon + 1))-\(padded(now.tm_mday))T\(clock(now))Z"
    }

    private static func clock(_ now: tm) -> String {
        "\(padded(now.tm_hour)):\(padded(now.tm_min)):\(padded(now.tm_sec))"
    }

    private static func parts() -> tm {
        var now = time(nil)
        var result = tm()
        gmtime_r(&now, &result)
        return result
    }

    private static func padded(_ number: Int32) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}

/// The words of the system for an error number.
func systemMessage(_ code: Int32) -> String { String(cString: strerror(code)).lowercased() }
