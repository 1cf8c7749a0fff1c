// What servers send in place of weights: a page for people, or the pointer that git keeps for a large file.

import GraftCache

/// Recognises files that are not what their name says, before they are kept.
enum Impostor {
    /// Bytes that are looked at.
    static let sampleSize = 1024

    /// Throws for a page or a pointer in place of the file that `name` promises.
    ///
    /// `isListed` says that a published digest is of these bytes.
    static func check(
        _ sample: [UInt8], byteCount: Int, name: String, contentType: String?, isListed: Bool
    ) throws(HubError) {
        let ending = ending(of: name)
        let isWeights = weights.contains(ending)
        if isWeights, let pointer = Pointer(sample, byteCount: byteCount) {
            throw .pointer(
                name: name, byteCount: byteCount, sha256: pointer.digest,
                targetByteCount: pointer.byteCount)
        }
        guard isWeights || !isListed && !texts.contains(ending) else { return }
        let isPage = isHTML(sample)
        // A login page need not begin as HTML does; weights have bytes that no text has.
        let isSaidToBe = contentType?.lowercased().hasPrefix("text/html") ?? false
        guard isPage || isWeights && isSaidToBe && !sample.contains(0) && !sample.isEmpty else {
            return
        }
        let start = String(decoding: sample.prefix(60), as: UTF8.self)
            .split(whereSeparator: \.isWhitespace).joined(separator: " ")
        throw .webPage(name: name, isWeights: isWeights, start: start)
    }

    private static let weights: Set<String> = [
        "safetensors", "h5", "hdf5", "keras", "npz", "npy", "onnx", "bin", "pt", "pth", "pt2",
        "ckpt",
        "tflite", "gguf", "pb", "msgpack", "pkl", "zip", "tar", "gz", "tgz", "zst", "xz", "bz2",
        "whl",
        "model", "ot", "parquet", "weights", "mlmodel", "caffemodel",
    ]
    private static let texts: Set<String> = [
        "html", "htm", "xhtml", "xml", "svg", "md", "txt", "vue", "php",
    ]

    private static func ending(of name: String) -> String {
        let parts = name.pathLast.utf8.split(separator: UInt8(ascii: "."))
        guard parts.count > 1, let last = parts.last else { return "" }
        return String(decoding: last, as: UTF8.self).lowercased()
    }

    private static func isHTML(_ sample: [UInt8]) -> Bool {
        var rest = sample[...]
        if rest.starts(with: [0xEF, 0xBB, 0xBF]) { rest = rest.dropFirst(3) }
        while true {
            rest = rest.drop { $0 <= 32 }
            // A comment or a declaration may come first.
            guard rest.starts(with: "<!--".utf8) || rest.starts(with: "<?xml".utf8) else { break }
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { break }
            rest = rest[(end + 1)...]
        }
        let start = String(decoding: rest.prefix(14), as: UTF8.self).lowercased()
        return ["<!doctype html", "<html", "<head>", "<body"].contains { start.hasPrefix($0) }
    }

    /// `version https://git-lfs.github.com/spec/v1`, `oid sha256:…`, `size …`, one a line.
    struct Pointer {
        let digest: String
        let byteCount: Int

        init?(_ sample: [UInt8], byteCount: Int) {
            guard byteCount < Impostor.sampleSize,
                sample.starts(with: "version https://git-lfs.github.com/spec/".utf8)
            else { return nil }
            var (digest, size): (String?, Int?)
            for line in sample.split(separator: 10) {
                let line = String(decoding: line.filter { $0 != 13 }, as: UTF8.self)
                if line.hasPrefix("oid sha256:") { digest = String(line.dropFirst(11)) }
                if line.hasPrefix("size ") { size = ByteCount.parsed(line.dropFirst(5)) }
            }
            guard let digest, HubCache.isHex(digest, 64), let size else { return nil }
            self.digest = digest
            self.byteCount = size
        }
    }
}
