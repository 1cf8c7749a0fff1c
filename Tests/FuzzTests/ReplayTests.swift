// Replays every kept input, and cuts and damages those that are sound: each is read or refused with an explanation.

import Foundation
import GraftTensors
import Testing

struct ReplayTests {
    static let names = Parser.all.map(\.name)

    @Test(arguments: names) func keptInputs(_ name: String) throws {
        let (parser, bench) = (try #require(Parser.named(name)), try Workbench())
        let inputs = try Corpus.inputs(parser)
        #expect(!inputs.isEmpty)
        for path in inputs { try check(parser, Corpus.bytes(path), bench, path) }
    }

    /// Small files at every byte, larger ones at a thousand places.
    @Test(arguments: names) func cutInputs(_ name: String) throws {
        let (parser, bench) = (try #require(Parser.named(name)), try Workbench())
        for path in try Corpus.sound(parser) {
            let bytes = try Corpus.bytes(path)
            let step = bytes.count <= 4096 ? 1 : bytes.count / 1000
            for count in stride(from: 0, to: bytes.count, by: step) {
                try check(parser, Array(bytes[..<count]), bench, "\(path) cut to \(count)")
            }
        }
    }

    /// libhdf5 dies on some damaged files, in a process of its own: HostileFileTests has those.
    @Test(arguments: names.filter { $0 != "hdf5" })
    func damagedInputs(_ name: String) throws {
        let (parser, bench) = (try #require(Parser.named(name)), try Workbench())
        var random = Damage()
        for path in try Corpus.sound(parser) {
            let bytes = try Corpus.bytes(path)
            for round in 0..<300 where !bytes.isEmpty {
                var damaged = bytes
                for _ in 0...random.next(3) {
                    damaged[random.next(bytes.count)] = UInt8(random.next(256))
                }
                try check(parser, damaged, bench, "\(path) damaged, round \(round)")
            }
        }
    }

    private func check(_ parser: Parser, _ bytes: [UInt8], _ bench: Workbench, _ what: String)
        throws
    {
        if let error = parser.unexplained(bytes, bench) {
            Issue.record("\(what): \(type(of: error)): \(error)")
        }
    }
}

/// The same damage in every run.
private struct Damage {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    mutating func next(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(bound))
    }
}
