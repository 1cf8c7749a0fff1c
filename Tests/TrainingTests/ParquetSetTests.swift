// Data sets of the Hub in Parquet: images from the file's bytes, classes by number, splits by file name.

import Foundation
import GraftFormats
import GraftImages
import Testing

@testable import GraftTraining

@Suite struct ParquetSetTests {
    private let folder = FileManager.default.temporaryDirectory
        .appending(path: "graft-parquet-\(UUID().uuidString)").path

    /// Writes images of one colour each, labelled by number.
    private func write(
        _ name: String, codec: ParquetCodec, first: Int, count: Int, label: String = "label"
    ) throws {
        let path = folder + "/" + name
        try FileManager.default.createDirectory(
            atPath: URL(filePath: path).deletingLastPathComponent().path,
            withIntermediateDirectories: true)
        let features = """
            {"info": {"features": {"image": {"_type": "Image"},
            "\(label)": {"names": ["zebra", "ant"], "_type": "ClassLabel"}}}}
            """
        var writer = try ParquetWriter(
            path: path,
            columns: [
                .init("image.bytes", kind: .bytes), .init("image.path", kind: .text),
                .init(label, kind: .integer),
            ], codec: codec, metadata: [("huggingface", features)])
        for row in first..<(first + count) {
            let image = try Image(width: 40, height: 30, color: Color(UInt8(row), 0, 0))
            try writer.add([
                .bytes(try image.png()), row % 2 == 0 ? .null : .text("x/\(row).png"),
                .integer(row == 3 ? -1 : Int64(row % 2)),
            ])
        }
        try writer.finish()
    }

    @Test(arguments: [ParquetCodec.uncompressed, .snappy, .zstd])
    func imagesAreReadWhereTheyAre(_ codec: ParquetCodec) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try write("data/train-00000-of-00002.parquet", codec: codec, first: 0, count: 6)
        try write("data/train-00001-of-00002.parquet", codec: codec, first: 6, count: 4)
        try write("data/test-00000-of-00001.parquet", codec: codec, first: 10, count: 4)
        let photos = try PhotoFolder.open(folder)
        // The order of the numbers, not of the names.
        #expect(photos.classes == ["zebra", "ant"] && photos.labelling == .oneClass)
        #expect(photos.items.count == 13 && photos.only(.test).items.count == 4)
        #expect(photos.remarks.count == 1)
        #expect(Set(photos.items.map(\.relativePath)).count == 13)
        for item in photos.items {
            let image = try item.open()
            #expect(Int(image[0, 0].red) % 2 == item.classIndex && image.width == 40)
            #expect((item.range != nil) == (codec == .uncompressed))
        }
        let written = try AnnotatedImages.read(folder).write(
            to: folder + "/out", as: .folders)
        #expect(written.imageCount == 13 && written.linkCount == 0)
        #expect(try PhotoFolder.open(folder + "/out").items.count == 13)
    }

    @Test func objectsBecomeBoxes() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let features = """
            {"info": {"features": {"image": {"_type": "Image"}, "objects": {"feature": {
            "bbox": {"_type": "Sequence"}, "category": {"names": ["a", "b"], "_type": "ClassLabel"}},
            "_type": "Sequence"}}}}
            """
        var writer = try ParquetWriter(
            path: folder + "/train.parquet",
            columns: [
                .init("image.bytes", kind: .bytes),
                .init("objects.bbox", kind: .float, listDepth: 2),
                .init("objects.category", kind: .integer, listDepth: 1),
            ], codec: .snappy, metadata: [("huggingface", features)])
        let png = try Image(width: 40, height: 30).png()
        let box: ParquetWriter.Value = .list([4, 5, 10, 12.5].map { .number($0) })
        try writer.add([.bytes(png), .list([box, box]), .list([.integer(1), .integer(0)])])
        try writer.add([.bytes(png), .list([]), .list([])])
        try writer.add([.bytes(png), .list([box]), .list([.integer(7)])])
        try writer.add([.null, .list([box]), .list([.integer(0)])])
        try writer.finish()
        let set = try AnnotatedImages.read(folder + "/train.parquet")
        #expect(set.classes == ["a", "b"] && set.images.count == 3)
        #expect(set.images.map { $0.annotations.map(\.label) } == [["b", "a"], [], []])
        #expect(
            set.images[0].annotations[0].box == Box(left: 4, top: 5, right: 14, bottom: 17.5))
        #expect(set.omissions.count(of: .unknownClass) == 1)
        #expect(set.omissions.count(of: .missingImage) == 1)
        let photos = try PhotoFolder.open(folder + "/train.parquet", .init(task: .detection))
        #expect(photos.items.map(\.annotations.count).sorted() == [0, 0, 2])
    }

    @Test func whatIsNoSetIsRefusedByName() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let path = folder + "/x.parquet"
        var writer = try ParquetWriter(path: path, columns: [.init("n", kind: .integer)])
        try writer.add([.integer(1)])
        try writer.finish()
        #expect(throws: ParquetSetError.noImages(path, found: ["n"])) { try PhotoFolder.open(path) }
        try write("a/train.parquet", codec: .zstd, first: 0, count: 4)
        try write("b/train.parquet", codec: .zstd, first: 0, count: 4)
        try FileManager.default.removeItem(atPath: path)
        #expect(throws: ParquetSetError.configurations(folder, found: ["a", "b"])) {
            try PhotoFolder.open(folder)
        }
        try write("y.parquet", codec: .zstd, first: 0, count: 4, label: "fine_label")
        #expect(try PhotoFolder.open(folder + "/y.parquet").classes == ["zebra", "ant"])
        var reading = PhotoReading()
        reading.columns = ["other"]
        #expect(throws: ParquetSetError.self) {
            try PhotoFolder.open(folder + "/y.parquet", reading)
        }
    }
}
