// The time: of the calendar, and of a clock that only goes forward.

internal import CGraftSystem

/// The time.
package enum Clock {
    /// Seconds since 1970.
    package static var now: Int { Int(time(nil)) }

    /// The time of the calendar, to the nanosecond.
    package static var moment: FileStatus.Moment {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return FileStatus.Moment(seconds: Int(now.tv_sec), nanoseconds: Int(now.tv_nsec))
    }

    /// Seconds of a clock that only goes forward.
    package static var monotonicSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// A moment in UTC by RFC 3339, `2026-11-29T19:30:00Z`, from the seconds since 1970.
    package static func text(_ seconds: Int) -> String {
        var seconds = time_t(seconds)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "\(seconds)" }
        func digits(_ number: Int32, width: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        return "\(digits(parts.tm_year &+ 1900, width: 4))-\(digits(parts.tm_mon + 1, width: 2))-"
            + "\(digits(parts.tm_mday, width: 2))T\(digits(parts.tm_hour, width: 2)):\(digits(parts.tm_min, width: 2)):"
            + "\(digits(parts.tm_sec, width: 2))Z"
    }
}
