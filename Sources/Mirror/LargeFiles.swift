// The store of large files of a writable mirror: signed addresses, whole files and files in parts, verified.

import FoundationEssentials
import GraftCache
import GraftServer
import GraftTensors
import Synchronization

/// Takes large files into the blobs of a repository. An address of the store says which file it takes, and is
/// signed: clients send no token there.
final class LargeFiles: Sendable {
    /// A file that is expected.
    struct Object: Hashable, Sendable {
        let name: HubName
        /// Its SHA-256, 64 hex digits.
        let oid: String
        let byteCount: Int
    }

    private struct Upload {
        let object: Object
        let partial: PartialUpload
        var etags: [Int: String] = [:]
        var lastUse = ContinuousClock.now
    }
    private let uploads = Mutex<[String: Upload]>([:])
    private let secret: String
    private let hub: HubCache
    private let cache: Cache

    /// Files beyond this size come in parts.
    static let wholeByteCount = 64 << 20
    /// Bytes of a part, unless there would be more than ``partCount``.
    static let partByteCount = 32 << 20
    static let partCount = 1000
    /// Bytes of the largest file.
    static let largest = 1 << 42
    /// Uploads in parts that may be open, and the time after which one counts as given up.
    private static let openUploads = 1000
    private static let uploadTime = Duration.seconds(24 * 3600)

    init(hub: HubCache, cache: Cache) {
        self.hub = hub
        self.cache = cache
        secret = (0..<8).map { _ in HubCache.infix() }.joined()
    }

    static func partByteCount(_ byteCount: Int) -> Int {
        var size = partByteCount
        while byteCount > size * partCount { size *= 2 }
        return size
    }

    func has(_ object: Object) -> Bool {
        Files.size(of: hub.blob(object.name, object.oid)) == object.byteCount
    }

    // MARK: Addresses

    /// The path that takes a whole file, or ends an upload in parts.
    func path(_ verb: String, of object: Object, upload: String = "", part: Int = 0) -> String {
        let text =
            "\(verb)/\(object.oid)/\(object.byteCount)/\(upload.isEmpty ? "-" : upload)/\(part)"
        return
            "/api/large-files/\(object.name.apiPath)/\(text)/\(signature(of: text, in: object.name))"
    }

    /// The order of a signed path.
    struct Order: Sendable {
        let verb: String
        let object: Object
        let upload: String
        let part: Int

        /// The bytes that may be sent to it.
        var byteCount: Int {
            switch verb {
            case "whole": return object.byteCount
            case "part":
                let size = LargeFiles.partByteCount(object.byteCount)
                return max(0, min(size, object.byteCount - (part - 1) * size))
            default: return 1 << 20
            }
        }
    }

    /// The order of a path; nil where its signature is not ours.
    func order(_ parts: [String]) -> Order? {
        guard parts.count >= 10, parts[0] == "api", parts[1] == "large-files",
            let kind = HubName.Kind.allCases.first(where: { $0.rawValue + "s" == parts[2] }),
            let name = HubName(kind, parts[3..<(parts.count - 6)].joined(separator: "/"))
        else { return nil }
        let rest = Array(parts.suffix(6))
        let text = rest.prefix(5).joined(separator: "/")
        guard Self.areEqual(signature(of: text, in: name), and: rest[5]),
            HubCache.isHex(rest[1], 64),
            let byteCount = Int(rest[2]), let part = Int(rest[4])
        else { return nil }
        return Order(
            verb: rest[0], object: Object(name: name, oid: rest[1], byteCount: byteCount),
            upload: rest[3], part: part)
    }

    private func signature(of text: String, in name: HubName) -> String {
        ContentHasher.sha256(
            of: secret + ContentHasher.sha256(of: "\(secret)/\(name.apiPath)/\(text)"))
    }

    private static func areEqual(_ a: String, and b: String) -> Bool {
        guard a.utf8.count == b.utf8.count else { return false }
        return zip(a.utf8, b.utf8).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    // MARK: Whole files

    /// Takes a whole file.
    func take(_ object: Object, from body: RequestBody) async throws {
        let partial = try PartialUpload(in: hub, for: object)
        do {
            var offset = 0
            for try await piece in body {
                guard offset + piece.count <= object.byteCount else {
                    throw UploadFlaw.size(object.byteCount, found: offset + piece.count)
                }
                try partial.write(piece, at: offset)
                offset += piece.count
            }
            try publish(partial, as: object, byteCount: offset)
        } catch {
            partial.discard()
            throw error
        }
    }

    /// Compares a file with its digest and gives it its name.
    private func publish(_ partial: PartialUpload, as object: Object, byteCount: Int) throws {
        guard byteCount == object.byteCount else {
            throw UploadFlaw.size(object.byteCount, found: byteCount)
        }
        let sums = try ContentHasher.over(partial.path).finalize()
        guard sums.sha256 == object.oid, sums.byteCount == object.byteCount else {
            throw UploadFlaw.digest(object.oid, found: sums.sha256)
        }
        try Unflushed(cache).publish(
            partial.path, to: hub.blob(object.name, object.oid), sha256: sums.sha256,
            byteCount: sums.byteCount)
    }

    // MARK: Files in parts

    /// Begins an upload in parts; its name.
    func begin(_ object: Object) throws -> String {
        let partial = try PartialUpload(in: hub, for: object)
        let id = HubCache.infix() + HubCache.infix()
        let old = uploads.withLock { uploads -> [PartialUpload] in
            let limit = ContinuousClock.now - Self.uploadTime
            var going = uploads.filter { $0.value.lastUse < limit }.map(\.key)
            if uploads.count - going.count >= Self.openUploads,
                let oldest = uploads.min(by: { $0.value.lastUse < $1.value.lastUse })?.key
            {
                going.append(oldest)
            }
            uploads[id] = Upload(object: object, partial: partial)
            return going.compactMap { uploads.removeValue(forKey: $0)?.partial }
        }
        for upload in old { upload.discard() }
        return id
    }

    private func partial(_ order: Order) throws -> PartialUpload {
        let found = uploads.withLock { uploads -> PartialUpload? in
            guard uploads[order.upload]?.object == order.object else { return nil }
            uploads[order.upload]?.lastUse = .now
            return uploads[order.upload]?.partial
        }
        guard let found else { throw UploadFlaw.unknownUpload }
        return found
    }

    /// Takes a part; its `ETag`.
    func takePart(_ order: Order, from body: RequestBody) async throws -> String {
        let partial = try partial(order)
        let start = (order.part - 1) * Self.partByteCount(order.object.byteCount)
        let count = order.byteCount
        guard order.part >= 1, count > 0 else { throw UploadFlaw.unknownUpload }
        var hasher = ContentHasher()
        for try await piece in body {
            guard hasher.byteCount + piece.count <= count else {
                throw UploadFlaw.size(count, found: hasher.byteCount + piece.count)
            }
            try partial.write(piece, at: start + hasher.byteCount)
            piece.withUnsafeBytes { hasher.update($0) }
        }
        let sums = hasher.finalize()
        guard sums.byteCount == count else { throw UploadFlaw.size(count, found: sums.byteCount) }
        let etag = "\"\(sums.sha256)\""
        uploads.withLock { $0[order.upload]?.etags[order.part] = etag }
        return etag
    }

    private struct Completion: Decodable {
        struct Part: Decodable {
            let partNumber: Int
            let etag: String
        }
        let parts: [Part]
    }

    /// Ends an upload in parts.
    func complete(_ order: Order, saying body: [UInt8]) throws {
        if has(order.object) { return }
        let partial = try partial(order)
        let size = Self.partByteCount(order.object.byteCount)
        let count = (order.object.byteCount + size - 1) / size
        let etags = uploads.withLock { $0[order.upload]?.etags ?? [:] }
        guard let named = try? JSONDecoder().decode(Completion.self, from: Data(body)),
            named.parts.count == count, etags.count == count,
            named.parts.allSatisfy({ etags[$0.partNumber] == $0.etag })
        else { throw UploadFlaw.parts(expected: count, found: etags.count) }
        defer { _ = uploads.withLock { $0.removeValue(forKey: order.upload) } }
        do {
            try publish(partial, as: order.object, byteCount: order.object.byteCount)
        } catch {
            partial.discard()
            throw error
        }
    }
}

/// Why something that was sent is not taken.
enum UploadFlaw: Error, Equatable {
    case size(Int, found: Int)
    case digest(String, found: String)
    case parts(expected: Int, found: Int)
    case unknownUpload

    var response: ServerResponse {
        switch self {
        case .size(let size, let found):
            .refusal(400, saying: "expected \(size) bytes, found \(found)")
        case .digest(let digest, let found):
            .refusal(400, saying: "expected the SHA-256 `\(digest)`, found `\(found)`")
        case .parts(let expected, let found):
            .refusal(400, saying: "expected \(expected) parts with their ETags, found \(found)")
        // As of an address that has expired: the client begins anew.
        case .unknownUpload: .refusal(403, saying: "this upload is not known: begin again")
        }
    }
}
