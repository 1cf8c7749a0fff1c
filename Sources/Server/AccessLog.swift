// The access log: one line per request, written by a thread of its own.

import Dispatch
import FoundationEssentials
import Synchronization

/// One line of the access log.
public struct AccessRecord: Sendable, Codable, Hashable {
    /// The time at which the answer ended, RFC 3339.
    public var time: String
    /// The IP address of the client.
    public var client: String
    /// The holder of the token that was shown; nil without one.
    public var holder: String?
    /// `GET`, `HEAD`, `POST`…; empty if the head could not be read.
    public var method: String
    /// The path, without the query: that may hold secrets.
    public var path: String
    /// The status of the answer; 0 if there was none.
    public var status: Int
    /// The bytes of the body that were sent.
    public var bytes: Int
    /// The time from the head of the request to the end of the answer.
    public var milliseconds: Int
    /// The program of the client, as it names itself.
    public var agent: String?
    /// The reason why the answer did not end as it should have; nil if it did.
    public var problem: String?
}

/// Takes records and writes them as lines. A reader that does not read holds up no answer: lines beyond
/// `waitingLines` are counted and left out, and the count is written instead.
public final class AccessLog: Sendable {
    /// The form of a line.
    public enum Format: String, Sendable, CaseIterable {
        /// One JSON object.
        case json
        /// Words for people.
        case text
    }

    private struct Waiting {
        var lines = 0
        var lost = 0
    }
    private let queue = DispatchQueue(label: "graft.server.log")
    private let waiting = Mutex(Waiting())
    private let format: Format
    private let write: @Sendable (String) -> Void

    /// The lines that may wait to be written.
    public static let waitingLines = 10_000

    /// A log whose lines, without line ends, go to `write`, one at a time.
    public init(_ format: Format, write: @escaping @Sendable (String) -> Void) {
        self.format = format
        self.write = write
    }

    func add(_ record: AccessRecord) {
        let fits = waiting.withLock { waiting in
            guard waiting.lines < Self.waitingLines else {
                waiting.lost += 1
                return false
            }
            waiting.lines += 1
            return true
        }
        guard fits else { return }
        queue.async { [self] in
            write(line(record))
            let lost = waiting.withLock { waiting in
                waiting.lines -= 1
                defer { waiting.lost = 0 }
                return waiting.lost
            }
            if lost > 0 { write(format == .json ? "{\"lost\":\(lost)}" : "\(lost) lines lost") }
        }
    }

    private func line(_ record: AccessRecord) -> String {
        switch format {
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return (try? encoder.encode(record)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
        case .text:
            let parts: [String?] = [
                record.time, record.client, record.holder ?? "-",
                "\"\(record.method) \(Self.harmless(record.path))\"", "\(record.status)",
                "\(record.bytes)", "\(record.milliseconds)ms",
                record.agent.map { "\"\(Self.harmless($0))\"" }, record.problem,
            ]
            return parts.compactMap { $0 }.joined(separator: " ")
        }
    }

    /// Text without what would steer a terminal or end a line.
    private static func harmless(_ text: String) -> String {
        String(
            decoding: text.utf8.map { $0 < 32 || $0 >= 127 || $0 == 34 ? UInt8(ascii: "?") : $0 },
            as: UTF8.self)
    }

    /// Waits until everything that was added is written.
    func finish() async {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume() }
        }
    }
}
