// Requests with a body: JSON for the hub's API, files and parts of them for its store.

import CCurl
import FoundationEssentials
import GraftCache
import GraftSystem
import GraftTensors
import Synchronization

/// What a request sends; it can be read again for another attempt.
enum Outgoing: Sendable {
    case bytes([UInt8])
    /// A part of a file.
    case file(String, Range<Int>)

    var byteCount: Int {
        switch self {
        case .bytes(let bytes): bytes.count
        case .file(_, let range): range.count
        }
    }
}

/// Hands a body to libcurl.
private final class BodyReader {
    private let body: Outgoing
    private var at = 0
    private let file: OpenFile?
    private let cancellation: Cancellation
    private(set) var failure: FileError?

    init(_ body: Outgoing, _ cancellation: Cancellation) throws(FileError) {
        self.body = body
        self.cancellation = cancellation
        file =
            if case .file(let path, _) = body {
                OpenFile(try FileDescriptor(opening: path))
            } else {
                nil
            }
    }

    /// Fills a buffer; nil stops the request.
    func read(into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        if cancellation.isCancelled.load(ordering: .relaxed) { return nil }
        let count = min(buffer.count, body.byteCount - at)
        guard count > 0 else { return 0 }
        switch body {
        case .bytes(let bytes):
            bytes[at..<(at + count)].withUnsafeBytes {
                buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count]))
            }
            at += count
            return count
        case .file(let path, let range):
            do throws(FileError) {
                let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
                let got = try file?.file.read(into: target, at: range.lowerBound + at) ?? 0
                guard got > 0 else { throw FileError(.read, at: path, .inputOutput) }
                at += got
                return got
            } catch {
                failure = error
                return nil
            }
        }
    }
}

extension HTTP {
    /// Sends a body, following redirects that keep the method, and gives the answer; what may pass is tried
    /// again.
    func send(
        _ method: String, _ start: Location, headers: [String] = [], body: Outgoing,
        credentials: Credentials? = nil
    ) throws -> (head: Head, body: [UInt8]) {
        try retrying {
            var location = start
            var redirects = Redirects(start)
            while true {
                let authorization = credentials?.header(for: location).map { [$0] } ?? []
                let (head, answer) = try sendOnce(
                    method, location, headers: headers + authorization, body: body)
                if (200..<300).contains(head.status) { return (head, answer) }
                if [307, 308].contains(head.status), let target = head.fields["location"] {
                    location = try redirects.next(target, of: location, self)
                    continue
                }
                throw refusal(location, head, Array(answer.prefix(4096)), credentials: credentials)
            }
        }
    }

    private func sendOnce(
        _ method: String, _ location: Location, headers: [String], body: Outgoing
    ) throws -> (Head, [UInt8]) {
        let reader = try BodyReader(body, cancellation)
        var answer: [UInt8] = []
        let head: Head
        do {
            head = try withExtendedLifetime(reader) {
                try exchange(
                    location, headers: headers + ["Expect:", "Accept-Encoding: identity"],
                    decodes: true,
                    prepare: { curl in
                        graft_curl_set_long(curl, CURLOPT_UPLOAD, 1)
                        graft_curl_set_string(curl, CURLOPT_CUSTOMREQUEST, method)
                        graft_curl_set_long(curl, CURLOPT_INFILESIZE_LARGE, body.byteCount)
                        graft_curl_set_pointer(
                            curl, CURLOPT_READDATA, Unmanaged.passUnretained(reader).toOpaque())
                        graft_curl_set_sink(curl, CURLOPT_READFUNCTION) {
                            bytes, size, count, context in
                            guard let context, let bytes else { return Int(CURL_READFUNC_ABORT) }
                            let reader = Unmanaged<BodyReader>.fromOpaque(context)
                                .takeUnretainedValue()
                            let buffer = UnsafeMutableRawBufferPointer(
                                start: bytes, count: size * count)
                            return reader.read(into: buffer) ?? Int(CURL_READFUNC_ABORT)
                        }
                    }
                ) { _, bytes in
                    guard answer.count + bytes.count <= 64 << 20 else {
                        throw HubError.longAnswer(url: location.shown, limit: 64 << 20)
                    }
                    answer += bytes
                }
            }
        } catch {
            throw reader.failure ?? error
        }
        return (head, answer)
    }

    /// Sends JSON and reads JSON.
    func post<Answer: Decodable>(
        _ location: Location, _ value: some Encodable, as type: Answer.Type,
        contentType: String = "application/json", credentials: Credentials?
    ) throws -> Answer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let (_, body) = try send(
            "POST", location,
            headers: ["Content-Type: \(contentType)", "Accept: \(contentType)"],
            body: .bytes(Array(try encoder.encode(value))), credentials: credentials)
        guard let answer = try? JSONDecoder().decode(type, from: Data(body)) else {
            throw HubError.notAHub(url: location.shown, .uploadAnswer)
        }
        return answer
    }
}
