// Requests as `-v` and `HF_DEBUG=1` show them.

import GraftCache

extension Notices {
    /// Shows a request and how it ended.
    static func show(
        _ method: String, _ location: Location, range: String?, status: Int, bytes: Int,
        seconds: Double
    ) {
        guard isTracing else { return }
        let part = range.map { " bytes \($0)" } ?? ""
        say(
            "\(method) \(location.text)\(part): status \(status), \(bytes) bytes, "
                + "\(Int(min(max(seconds, 0), 1e6) * 1000)) ms")
    }
}
