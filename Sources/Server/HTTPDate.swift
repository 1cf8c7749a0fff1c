// Times as HTTP and RFC 3339 write them.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The present in words.
enum HTTPDate {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`.
    static var now: String {
        let t = parts()
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        return
            "\(days[Int(t.tm_wday) % 7]), \(two(t.tm_mday)) \(months[Int(t.tm_mon) % 12]) "
            + "\(1900 + t.tm_year) \(two(t.tm_hour)):\(two(t.tm_min)):\(two(t.tm_sec)) GMT"
    }

    /// `1994-11-06T08:49:37Z`.
    static var timestamp: String {
        let t = parts()
        return "\(1900 + t.tm_year)-\(two(t.tm_mon + 1))-\(two(t.tm_mday))"
            + "T\(two(t.tm_hour)):\(two(t.tm_min)):\(two(t.tm_sec))Z"
    }

    private static func parts() -> tm {
        var now = time(nil)
        var result = tm()
        gmtime_r(&now, &result)
        return result
    }

    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
