// The inputs that are kept: small files that opened, and every one that a parser once failed on.

import Foundation

enum Corpus {
    /// `Tests`, found from this file: fuzzers and tests run where they were built.
    static let tests = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().path

    /// The kept inputs of a parser, in the order of their names.
    static func inputs(_ parser: Parser) throws -> [String] {
        let own = tests + "/FuzzTests/Corpus/" + parser.name
        let kept = ((try? FileManager.default.contentsOfDirectory(atPath: own)) ?? []).sorted()
            .map { own + "/" + $0 }
        return kept + (try seeds(parser))
    }

    /// Those that somebody wrote to be read, and not a fuzzer to be refused.
    static func sound(_ parser: Parser) throws -> [String] {
        try inputs(parser).filter { path in
            let name = path.split(separator: "/").last ?? ""
            return name.count < 40
        }
    }

    /// The fixtures that a parser can start from.
    static func seeds(_ parser: Parser) throws -> [String] {
        try ["formats", "images"].flatMap { folder in
            let path = tests + "/Fixtures/" + folder
            return try FileManager.default.contentsOfDirectory(atPath: path).sorted()
                .filter { name in parser.seeds.contains { name.hasSuffix($0) } }
                .map { path + "/" + $0 }
        }
    }

    static func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path)))
    }

    private static let fixtures = Fixtures()

    /// A fixture, read once.
    static func fixture(_ name: String) throws -> [UInt8] { try fixtures.bytes(name) }

    private final class Fixtures: @unchecked Sendable {
        private let lock = NSLock()
        private var known: [String: [UInt8]] = [:]

        func bytes(_ name: String) throws -> [UInt8] {
            try lock.withLock {
                if let bytes = known[name] { return bytes }
                let bytes = try Corpus.bytes(tests + "/Fixtures/" + name)
                known[name] = bytes
                return bytes
            }
        }
    }
}
