// Tables of photos, what is found wrong with photos, and views that are kept.

import Foundation
import GraftImages
import GraftTensors
import GraftTraining
import Testing

@Suite struct DataTests {
    // In a folder of its own: images are also looked for beside the folder of a table.
    private let folder = NSTemporaryDirectory() + "graft-data-\(UUID().uuidString)/set"

    private func write(_ text: String, _ name: String) throws {
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
    }

    @Test func aTableIsAFolderOfPhotos() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try write(
            "\u{FEFF}Label,Path\r\n\"b, c\",x/1.jpg\r\na,\"x/\"\"2\"\".jpg\"\n\na,/z/3.jpg\n",
            "t.csv")
        try FileManager.default.createDirectory(
            atPath: folder + "/x", withIntermediateDirectories: true)
        try write("", "x/1.jpg")
        try write("", "x/\"2\".jpg")
        try write("", "3.jpg")
        let photos = try PhotoFolder.open(folder + "/t.csv")
        #expect(photos.classes == ["a", "b, c"])
        #expect(photos.items.map(\.relativePath) == ["/z/3.jpg", "x/\"2\".jpg", "x/1.jpg"])
        // An absolute path of another machine is found by its end.
        #expect(photos.items[0].path == folder + "/3.jpg")
        #expect(photos.items[2].path == folder + "/x/1.jpg")
        #expect(photos.counts == [2, 1])
    }

    @Test(arguments: [
        "", "photo,kind\n1,2\n", "path,label\n1.jpg\n", "path,label\n1.jpg,\n",
        "path,label\n1.jpg,a\n2.jpg,a\n", "path,label\n\"1.jpg,a\n",
    ])
    func aBadTableIsExplained(text: String) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try write(text, "t.csv")
        let error = #expect(throws: (any Error).self) {
            try PhotoFolder.open(folder + "/t.csv")
        }
        #expect(error is any Diagnostic)
    }

    @Test func aCheckFindsWhatIsWrong() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for side in ["train", "held"] {
            for (name, shape) in [("a", DrawnShapes.circle), ("b", .stripes)] {
                let place = "\(folder)/\(side)/\(name)"
                try FileManager.default.createDirectory(
                    atPath: place, withIntermediateDirectories: true)
                for seed in 0..<5 {
                    let number = UInt64(seed + (side == "held" ? 50 : 0))
                    try shape.image(seed: number, size: 48).writePNG(to: "\(place)/\(seed).png")
                }
            }
        }
        func copy(_ from: String, _ to: String) throws {
            try FileManager.default.copyItem(
                atPath: "\(folder)/\(from)", toPath: "\(folder)/\(to)")
        }
        func check() throws -> DataCheck {
            DataCheck(
                try PhotoFolder.scan(folder + "/train"),
                validation: try PhotoFolder.scan(folder + "/held"))
        }
        #expect(try check().duplicates.isEmpty)
        try copy("train/a/0.png", "train/b/wrong.png")
        try copy("train/a/1.png", "held/a/leak.png")
        try write("no photo", "train/a/bad.jpg")
        try DrawnShapes.ring.image(seed: 1, size: 16).writePNG(to: folder + "/train/b/tiny.png")
        let found = try check()
        #expect(found.unreadable.map(\.path) == [folder + "/train/a/bad.jpg"])
        #expect(found.duplicates.count == 2)
        #expect(found.duplicates.count { $0.acrossClasses && !$0.acrossSides } == 1)
        #expect(found.duplicates.count { !$0.acrossClasses && $0.acrossSides } == 1)
        #expect(found.tiny == [folder + "/train/b/tiny.png"])
        #expect(!found.isClean)
    }
}
