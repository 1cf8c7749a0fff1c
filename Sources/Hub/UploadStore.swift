// Large files go to the hub's store by the batch API of Git LFS, whole or in parts.

import FoundationEssentials
import GraftCache
import GraftSystem
import GraftTensors

extension UploadErrand {
    /// A large file and its SHA-256.
    struct Large {
        let file: LocalFile
        let sha256: String
    }

    private static let contentType = "application/vnd.git-lfs+json"

    private struct Batch: Encodable {
        struct Object: Encodable {
            let oid: String
            let size: Int
        }
        struct Ref: Encodable { let name: String }
        let operation = "upload"
        let transfers = ["basic", "multipart"]
        let objects: [Object]
        let hash_algo = "sha256"
        let ref: Ref
    }

    private struct BatchAnswer: Decodable {
        struct Object: Decodable {
            struct Action: Decodable {
                let href: String
                /// Fields to send, or of an upload in parts its `chunk_size` and numbered addresses.
                let header: [String: Text]?
            }
            struct Failure: Decodable {
                let code: Int?
                let message: String?
            }
            let oid: String
            let actions: [String: Action]?
            let error: Failure?
        }
        /// A string, or a number as text.
        struct Text: Decodable {
            let value: String
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let text = try? container.decode(String.self) {
                    value = text
                } else {
                    value = "\(try container.decode(Int.self))"
                }
            }
        }
        let objects: [Object]
    }

    /// Puts files into the store that it does not have.
    func store(_ files: [Large]) throws {
        let address = "\(api.access.endpoint)/\(name.webPath).git/info/lfs/objects/batch"
        for start in stride(from: 0, to: files.count, by: 256) {
            let some = files[start..<min(start + 256, files.count)]
            let fresh = try some.filter { try !resume($0) }
            guard !fresh.isEmpty else { continue }
            let answer = try api.http.post(
                try Location(address),
                Batch(
                    objects: fresh.map { .init(oid: $0.sha256, size: $0.file.byteCount) },
                    ref: .init(name: revision)),
                as: BatchAnswer.self, contentType: Self.contentType,
                credentials: api.access.credentials)
            for file in fresh {
                guard let object = answer.objects.first(where: { $0.oid == file.sha256 }) else {
                    throw HubError.notAHub(url: address, .answer(for: file.file.path))
                }
                if let failure = object.error {
                    throw HubError.refusedByStore(
                        path: file.file.path, reason: failure.message.map(Refusal.line))
                }
                // Without an action the store has it.
                guard let action = object.actions?["upload"] else { continue }
                try put(file, action.href, (action.header ?? [:]).mapValues(\.value))
                if let verify = object.actions?["verify"] { try confirm(file, verify.href) }
            }
        }
    }

    private func put(_ file: Large, _ href: String, _ header: [String: String]) throws {
        let size = file.file.byteCount
        guard let text = header["chunk_size"] else {
            _ = try api.http.send(
                "PUT", try Location(href),
                headers: header.compactMap { field($0.key, $0.value) },
                body: .file(file.file.place, 0..<size))
            sent(size)
            return
        }
        let parts = header.filter { ByteCount.parsed($0.key) != nil }
            .sorted { (ByteCount.parsed($0.key) ?? 0) < (ByteCount.parsed($1.key) ?? 0) }
            .map(\.value)
        let journal = UploadJournal(
            parts: parts, completion: href, partSize: ByteCount.parsed(text) ?? 0)
        guard journal.isSound(size) else {
            throw HubError.notAHub(
                url: try Location(href).shown, .parts(of: file.file.path, byteCount: size))
        }
        journal.write(to: journalPath(file))
        try putParts(file, journal)
    }

    /// A field that the store wants; nil for what would end the line.
    private func field(_ name: String, _ value: String) -> String? {
        let isPlain = (name + value).utf8.allSatisfy { $0 >= 32 && $0 != 127 }
        return isPlain && !name.contains(":") ? "\(name): \(value)" : nil
    }

    /// Goes on with an upload in parts that did not end; whether the file is in the store by that.
    private func resume(_ file: Large) throws -> Bool {
        let path = journalPath(file)
        guard let journal = UploadJournal.read(path, byteCount: file.file.byteCount) else {
            return false
        }
        do {
            try putParts(file, journal)
            return true
        } catch let error as HubError where error.isRefusal || error.status == 400 {
            // The signed addresses expired.
            if let path { FileSystem.discard(path) }
            return false
        }
    }

    private func putParts(_ file: Large, _ journal: UploadJournal) throws {
        struct Part: Encodable {
            let partNumber: Int
            let etag: String
        }
        struct Completion: Encodable {
            let oid: String
            let parts: [Part]
        }
        var journal = journal
        let path = journalPath(file)
        for (index, address) in journal.parts.enumerated() where journal.etags[index] == nil {
            let first = index * journal.partSize
            let range = first..<min(first + journal.partSize, file.file.byteCount)
            let (head, _) = try api.http.send(
                "PUT", try Location(address), body: .file(file.file.place, range))
            guard let etag = head.fields["etag"], !etag.isEmpty else {
                throw HubError.notAHub(url: try Location(address).shown, .partETag)
            }
            journal.etags[index] = etag
            journal.write(to: path)
            sent(range.count)
        }
        let body = Completion(
            oid: file.sha256,
            parts: journal.parts.indices.map {
                Part(partNumber: $0 + 1, etag: journal.etags[$0] ?? "")
            })
        _ = try api.http.send(
            "POST", try Location(journal.completion),
            headers: ["Content-Type: \(Self.contentType)", "Accept: \(Self.contentType)"],
            body: .bytes(Array(try JSONEncoder().encode(body))),
            credentials: api.access.credentials)
        if let path { FileSystem.discard(path) }
    }

    private func confirm(_ file: Large, _ href: String) throws {
        _ = try api.http.send(
            "POST", try Location(href), headers: ["Content-Type: \(Self.contentType)"],
            body: .bytes(
                Array(
                    try JSONEncoder().encode(
                        Batch.Object(oid: file.sha256, size: file.file.byteCount)))),
            credentials: api.access.credentials)
    }

    private func journalPath(_ file: Large) -> String? {
        guard !own.root.isEmpty else { return nil }
        let key = "\(api.access.endpoint) \(name) \(file.sha256)"
        return "\(own.root)/uploads/\(ContentHasher.sha256(of: key)).json"
    }
}
