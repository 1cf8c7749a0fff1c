// Files to pixels: Pillow's pixels, and an explained error for everything else.

import Foundation
import GraftImages
import GraftTensors
import Testing

@Suite struct DecodeTests {
    @Test(arguments: Fixture.readable) func agreesWithPillow(name: String) throws {
        let image = try Image.decode(Fixture.bytes(name), name: name)
        let expected = try Fixture.expected(name)
        #expect(image.width == expected.width && image.height == expected.height)
        // Another build of a codec may round another way; never by more than one step.
        let lossy = name.hasSuffix(".jpg") || name == "lossy.webp"
        let worst = zip(image.pixels, expected.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
        #expect(worst <= (lossy ? 1 : 0))
    }

    @Test func orientationCanBeIgnored() throws {
        let image = try Image.decode(Fixture.bytes("turned.jpg"), orient: false)
        #expect(image.width == 13 && image.height == 9)
        #expect(image.oriented(6) == (try Image.decode(Fixture.bytes("turned.jpg"))))
    }

    @Test(arguments: Fixture.readable) func aCutFileNeverCrashes(name: String) throws {
        let bytes = try Fixture.bytes(name)
        for length in 0..<bytes.count {
            do {
                // What is left may be a whole picture that lost only its trailer.
                let image = try Image.decode(Array(bytes[..<length]), name: name)
                #expect(image.pixels.count == image.width * image.height * 3)
            } catch {
                #expect(error.message.contains(name))
            }
        }
        // The first frame of an animation is whole without the others.
        guard name != "animated.webp" else { return }
        #expect(throws: ImageError.self) {
            try Image.decode(Array(bytes[..<(bytes.count * 2 / 3)]), name: name)
        }
    }

    @Test(arguments: Fixture.readable) func aDamagedFileNeverCrashes(name: String) throws {
        let bytes = try Fixture.bytes(name)
        let limits = ImageLimits(side: 4096, pixels: 1_000_000)
        for index in bytes.indices {
            for damage: UInt8 in [0x01, 0x80, 0xFF] {
                var lie = bytes
                lie[index] ^= damage
                if let image = try? Image.decode(lie, name: name, limits: limits) {
                    #expect(image.pixels.count == image.width * image.height * 3)
                }
            }
        }
    }

    @Test func saysWhatItFound() throws {
        func message(_ bytes: [UInt8], limits: ImageLimits = ImageLimits()) -> String {
            do {
                _ = try Image.decode(bytes, name: "a", limits: limits)
                return ""
            } catch {
                return error.message
            }
        }
        #expect(message([]).hasSuffix("found an empty file"))
        #expect(message(Array("8BPS".utf8)).hasSuffix("found a Photoshop file"))
        #expect(message(Array("<html>".utf8)).contains("web page"))
        #expect(message([0, 1, 2, 3, 4]).contains("`00 01 02 03`"))
        let small = ImageLimits(side: 12)
        #expect(message(try Fixture.bytes("plain.png"), limits: small).contains("found 13 × 9"))
        #expect(message(try Fixture.bytes("plain.jpg"), limits: small).contains("found 13 × 9"))
        #expect(throws: FileError.self) { try Image.decode(path: "/nowhere/a.jpg") }
    }

    /// Two headers: the buffer must not be made for one and filled for the other.
    @Test func aPNGWithTwoHeadersIsRefused() throws {
        let bytes = try Fixture.bytes("plain.png")
        let header = bytes[8..<33]
        #expect(throws: ImageError.self) {
            try Image.decode(Array(bytes[..<33] + header + bytes[33...]))
        }
    }

    @Test func pngComesBack() throws {
        let image = DrawnShapes.ring.image(seed: 3, size: 33)
        #expect(try Image.decode(image.png()) == image)
        let path = NSTemporaryDirectory() + "graft-images-\(UUID().uuidString).png"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try image.writePNG(to: path)
        #expect(try Image.decode(path: path) == image)
    }
}
