// Which kind of file some first bytes are, and how files that are no images are counted.

import Foundation
import GraftImages
import Testing

@Suite struct ContentKindTests {
    /// A box of the ISO base media format with a major brand and a compatible one.
    private static func ftyp(_ major: String, _ compatible: String = "mif1") -> [UInt8] {
        [0, 0, 0, 24] + Array("ftyp\(major)\0\0\0\0\(compatible)miaf".utf8)
    }

    /// A little-endian TIFF whose first directory has these entries of one 16-bit number.
    private static func tiff(_ entries: [(UInt16, UInt16)]) -> [UInt8] {
        func bytes(_ value: UInt16) -> [UInt8] { [UInt8(value & 255), UInt8(value >> 8)] }
        return [0x49, 0x49, 42, 0, 8, 0, 0, 0] + bytes(UInt16(entries.count))
            + entries.flatMap { bytes($0.0) + [3, 0, 1, 0, 0, 0] + bytes($0.1) + [0, 0] }
            + [0, 0, 0, 0]
    }

    private static let samples: [(bytes: [UInt8], kind: ContentKind)] = [
        ([], .empty), ([0xFF, 0xD8, 0xFF, 0xE1], .jpeg),
        ([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], .png),
        (Array("RIFF....WEBPVP8X".utf8), .webp), (Array("RIFF....AVI LIST".utf8), .video),
        (Array("RIFF....WAVEfmt ".utf8), .audio), (Array("GIF89a".utf8), .gif),
        (Array("BM".utf8) + [0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0], .bmp),
        (Array("BMW is a maker of cars and motorcycles".utf8), .text),
        (tiff([(256, 1)]), .tiff), ([0x4D, 0x4D, 0, 43, 0, 8, 0, 0], .tiff),
        (tiff([(254, 1), (330, 8)]), .cameraRaw), (tiff([(0xC612, 1)]), .cameraRaw),
        (tiff([(262, 32_803)]), .cameraRaw),
        ([0x49, 0x49, 42, 0, 16, 0, 0, 0] + Array("CR\u{2}\0".utf8), .cameraRaw),
        (ftyp("heic"), .heic), (ftyp("mif1", "heic"), .heic), (ftyp("mif1", "avif"), .avif),
        (ftyp("avis"), .avif), (ftyp("crx ", "isom"), .cameraRaw), (ftyp("isom", "mp42"), .video),
        (ftyp("qt  ", "qt  "), .video), (ftyp("M4A ", "isom"), .audio),
        ([0xFF, 0x0A, 0, 0], .jpegXL), ([0, 0, 0, 12] + Array("JXL \r\n".utf8), .jpegXL),
        ([0, 0, 0, 12] + Array("jP  \r\n".utf8), .jpeg2000), ([0xFF, 0x4F, 0xFF, 0x51], .jpeg2000),
        (Array("8BPS\0\u{1}".utf8), .photoshop), (Array("%PDF-1.7".utf8), .pdf),
        (Array("<?xml version=\"1.0\"?>\n<!-- x --><svg width=\"1\"/>".utf8), .svg),
        (Array("\u{FEFF}  <svg/>".utf8), .svg), (Array("<!DOCTYPE HTML><html>".utf8), .html),
        (Array("<annotation><folder/></annotation>".utf8), .xml), (Array("{\"a\": 1}".utf8), .json),
        (Array("version https://git-lfs.github.com/spec/v1\noid sha256:".utf8), .lfsPointer),
        (Array("0 0.5 0.5 0.1 0.1\r\n".utf8), .text), (Array("PK\u{3}\u{4}".utf8), .archive),
        ([UInt8](repeating: 0, count: 128) + Array("DICM".utf8), .dicom),
        (Array("P6\n2 2\n255\n".utf8), .netpbm), ([0, 5, 0x16, 7], .appleDouble),
        ([0, 0, 1, 0, 1, 0, 16, 16], .icon), ([0x1A, 0x45, 0xDF, 0xA3], .video),
        ([1, 2, 3, 4], .unknown),
    ]

    @Test(arguments: samples.indices) func tellsBytes(index: Int) {
        let sample = Self.samples[index]
        #expect(ContentKind(sniffing: sample.bytes) == sample.kind)
        // No prefix is out of bounds, and none is of a format that the whole is not.
        for length in sample.bytes.indices {
            _ = ContentKind(sniffing: Array(sample.bytes[..<length]))
        }
    }

    @Test func aNameDecidesOnlyWhereBytesCannot() {
        let tiff = Self.tiff([(256, 1)])
        #expect(ContentKind(sniffing: tiff, name: "a.NEF") == .cameraRaw)
        #expect(ContentKind(sniffing: tiff, name: "a.jpg") == .tiff)
        let targa = [0, 0, 2] + [UInt8](repeating: 0, count: 15)
        #expect(ContentKind(sniffing: targa, name: "a.tga") == .targa)
        #expect(ContentKind(sniffing: targa, name: "a.jpg") == .unknown)
    }

    @Test func everyReadableKindHasExtensions() {
        for kind in ContentKind.allCases where kind.isReadable {
            #expect(kind.isImage && !kind.extensions.isEmpty)
        }
        #expect(ContentKind.hasReadableExtension("a/B.JFIF"))
        #expect(!ContentKind.hasReadableExtension("a.jpg/b"))
        #expect(!ContentKind.hasReadableExtension(".jpg"))
    }

    @Test func countsWhatIsLeftOut() throws {
        let folder = NSTemporaryDirectory() + "graft-kinds-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        func put(_ name: String, _ bytes: [UInt8]) throws -> String {
            try Data(bytes).write(to: URL(filePath: folder + "/" + name))
            return folder + "/" + name
        }
        var leftOut = LeftOutFiles()
        let jpeg: [UInt8] = [0xFF, 0xD8, 0xFF, 0xE0]
        #expect(leftOut.admits(path: try put("photo", jpeg)))
        #expect(leftOut.admits(path: try put("photo.dat", jpeg)))
        // What an extension promises is left to the decoder, which names the file.
        #expect(leftOut.admits(path: try put("page.jpg", Array("<html>".utf8))))
        #expect(leftOut.isEmpty)
        #expect(!leftOut.admits(path: try put("a.txt", Array("x".utf8))))
        #expect(!leftOut.admits(path: try put("b.TXT", Array("x".utf8))))
        #expect(!leftOut.admits(path: try put("layers.psd", Array("8BPS".utf8))))
        #expect(!leftOut.admits(path: try put("manual", Array("%PDF-".utf8))))
        #expect(
            leftOut.description == "4 files left out: 2 .txt, 1 .psd, 1 PDF without extension")
        var more = LeftOutFiles()
        more.add(.pdf, name: "x.bin")
        more.add(leftOut)
        #expect(more.count == 5)
        #expect(more.kinds == "2 .txt, 1 .bin (PDF), 1 .psd, 1 PDF without extension")
        mkfifo(folder + "/pipe", 0o600)
        #expect(try ContentKind.of(path: folder + "/pipe") == .unknown)
    }
}
