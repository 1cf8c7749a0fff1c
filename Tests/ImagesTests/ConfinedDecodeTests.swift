// GIF, TIFF, HEIC and AVIF through a process of their own: Pillow's pixels, and errors for everything else.

import Foundation
import GraftImages
import GraftSystem
import Testing

@Suite struct ConfinedDecodeTests {
    @Test(arguments: Fixture.confined) func agreesWithPillow(name: String) throws {
        let image = try Fixture.decode(Fixture.bytes(name), name: name)
        let expected = try Fixture.expected(name)
        #expect(image.width == expected.width && image.height == expected.height)
        // HEIC by another version of libheif rounds another way, by one step. Of AVIF libheif hands
        // over colour that it has clipped where it leaves the gamut, as single pixels do.
        let differences = zip(image.pixels, expected.pixels).map { abs(Int($0) - Int($1)) }
        let worst = differences.max() ?? 0
        #expect(worst <= (name.hasSuffix(".heic") ? 2 : name.hasSuffix(".avif") ? 12 : 0))
        #expect(differences.reduce(0, +) * 10 <= differences.count)
        let inProcess = try Fixture.decode(
            Fixture.bytes(name), name: name, isolation: .inProcess)
        #expect(inProcess == image)
    }

    @Test func orientationCanBeIgnored() throws {
        let bytes = try Fixture.bytes("turned.tiff")
        let image = try Fixture.decode(bytes, orient: false)
        #expect(image.width == 13 && image.height == 9)
        #expect(image.oriented(6) == (try Fixture.decode(bytes)))
    }

    @Test(arguments: Fixture.confined) func aCutFileNamesItself(name: String) throws {
        let bytes = try Fixture.bytes(name)
        for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 40)) {
            do {
                let image = try Fixture.decode(Array(bytes[..<length]), name: name)
                #expect(image.pixels.count == image.width * image.height * 3)
            } catch {
                #expect(error.message.contains(name))
            }
        }
        // And the next image works.
        #expect(try Fixture.decode(bytes).width > 0)
    }

    @Test(arguments: Fixture.confined) func aDamagedFileNeverHarms(name: String) throws {
        let bytes = try Fixture.bytes(name)
        let limits = ImageLimits(side: 4096, pixels: 1_000_000)
        for index in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 60)) {
            for damage: UInt8 in [0x01, 0xFF] {
                var lie = bytes
                lie[index] ^= damage
                if let image = try? Fixture.decode(lie, name: name, limits: limits) {
                    #expect(image.pixels.count == image.width * image.height * 3)
                    #expect(image.width * image.height <= limits.pixels)
                }
            }
        }
    }

    @Test func limitsHoldBeforePixelsAreMade() throws {
        for name in Fixture.confined {
            let small = ImageLimits(pixels: 100)
            #expect(throws: ImageError.self) {
                try Fixture.decode(Fixture.bytes(name), limits: small)
            }
        }
    }

    @Test func manyThreadsDecodeAtOnce() async throws {
        let files = try ["photo.heic", "lzw.tiff", "part.gif", "photo.avif"].map { name in
            (try Fixture.bytes(name), try Fixture.decode(Fixture.bytes(name)))
        }
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<24 {
                let (bytes, expected) = files[index % files.count]
                group.addTask { try Fixture.decode(bytes) == expected }
            }
            for try await isSame in group { #expect(isSame) }
        }
    }

    /// A program in place of the decoder that does what `script` says.
    private func standIn(_ script: String) throws -> Isolation {
        let path = NSTemporaryDirectory() + "graft-parser-\(UUID().uuidString)"
        try Data("#!/bin/sh\n\(script)\n".utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return .process(program: path)
    }

    private func failure(_ isolation: Isolation, seconds: Int = 20) throws -> ParserFailure? {
        do {
            _ = try Fixture.decode(
                Fixture.bytes("part.gif"), name: "cat.gif", limits: ImageLimits(seconds: seconds),
                isolation: isolation)
            return nil
        } catch ImageError.parser(let name, let format, let failure) {
            #expect(name == "cat.gif" && format == "GIF")
            return failure
        }
    }

    @Test func aParserThatFailsIsAnErrorThatNamesTheFile() throws {
        // What it answers: that nothing holds it, one byte of payload; then it misbehaves.
        let held = "printf 'H\\001\\000\\003' >&0"
        #expect(try failure(standIn("exit 7")) == .exited(status: 7))
        #expect(try failure(standIn("\(held); kill -SEGV $$")) == .crashed(signal: 11))
        #expect(try failure(standIn("\(held); sleep 100"), seconds: 1) == .timedOut(seconds: 1))
        #expect(try failure(standIn("\(held); printf 'zzzzzzzz' >&0; sleep 100")) == .invalidReply)
        // An image that is larger than may be, and bytes of the file that are not in it.
        func number(_ value: UInt64) -> String {
            (0..<8).map { place in
                let digits = String(value >> (place * 8) & 255, radix: 8)
                return "\\" + String(repeating: "0", count: 3 - digits.count) + digits
            }.joined()
        }
        func image(_ width: UInt64, _ height: UInt64, _ extent: [Double]) -> String {
            let size = ([width, height] + extent.map(\.bitPattern)).map(number).joined()
            let pixels = String(repeating: "x", count: 3)
            return "\(held); printf 'I\\060\\000\(size)\(pixels)' >&0; sleep 100"
        }
        #expect(try failure(standIn(image(1, 1, [0, 0, 1, 0.5]))) == nil)
        #expect(try failure(standIn(image(1 << 31, 1 << 31, [0, 0, 1, 1]))) == .invalidReply)
        // Extents that are not of an image of one pixel.
        for extent in [
            [0, 0, 2, 1], [0, 0, 1, 0], [-1, 0, 1, 1], [0, 0.6, 1, 0.5], [0, 0, 1, .nan],
        ] {
            #expect(try failure(standIn(image(1, 1, extent))) == .invalidReply)
        }
        let need = "printf 'N\\020\\000\\001\\000\\000\\000\\000\\000\\000\\000\\377\\377\\377\\377"
        #expect(
            try failure(standIn("\(held); \(need)\\000\\000\\000\\000' >&0; sleep 100"))
                == .invalidReply)
        let missing = try failure(.process(program: "/nowhere/graft"))
        guard case .notStarted(let program, _) = missing else {
            Issue.record(
                "expected a program that is not there, found \(String(describing: missing))")
            return
        }
        #expect(program == "/nowhere/graft")
    }

    @Test func aRefusalIsPlainText() throws {
        // A process that was taken over sends the codes of a terminal.
        let script =
            "printf 'H\\001\\000\\003' >&0; printf 'R\\005\\000\\000\\033[2J' >&0; sleep 100"
        let (bytes, isolation) = try (Fixture.bytes("part.gif"), standIn(script))
        #expect(throws: ImageError.malformed(name: "cat.gif", format: "GIF", reason: "[2J")) {
            try Fixture.decode(bytes, name: "cat.gif", isolation: isolation)
        }
    }

    @Test func aLibraryThatEmbedsGraftIsAskedFirst() throws {
        #expect(throws: ImageError.notIsolated(name: "a", format: "GIF")) {
            try Fixture.decode(Fixture.bytes("part.gif"), isolation: .contiguousOnly)
        }
    }
}
