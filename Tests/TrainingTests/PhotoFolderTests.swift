// Folders of photos and their splits: what is listed, what is refused, what stays where it was.

import Foundation
import GraftTensors
import GraftTraining
import Testing

@Suite final class PhotoFolderTests {
    let root = NSTemporaryDirectory() + "graft-photos-\(UUID().uuidString)"

    deinit { try? FileManager.default.removeItem(atPath: root) }

    private func add(_ paths: String...) throws {
        for path in paths { try add(path) }
    }

    private func add(_ path: String) throws {
        let full = URL(fileURLWithPath: root + "/" + path)
        try FileManager.default.createDirectory(
            at: full.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data().write(to: full)
    }

    private func fill(_ name: String, _ range: Range<Int>) throws {
        for index in range { try add("\(name)/\(index).jpg") }
    }

    @Test func listsPhotosByClass() throws {
        try add(
            "b/2.JPG", "b/10.png", "B/x.webp", "a/deep/1.jpeg", "a/notes.txt", "a/.hidden.jpg",
            ".git/x.jpg", "stray.jpg")
        try FileManager.default.createSymbolicLink(
            atPath: root + "/a/out.jpg", withDestinationPath: "/etc/hostname")
        try FileManager.default.createSymbolicLink(
            atPath: root + "/a/in.jpg", withDestinationPath: root + "/b/2.JPG")
        try FileManager.default.createSymbolicLink(
            atPath: root + "/a/loop", withDestinationPath: root)
        let photos = try PhotoFolder.scan(root)
        #expect(photos.classes == ["B", "a", "b"])
        #expect(
            photos.items.map(\.relativePath)
                == ["B/x.webp", "a/deep/1.jpeg", "a/in.jpg", "b/10.png", "b/2.JPG"])
        #expect(photos.items.map(\.classIndex) == [0, 1, 1, 2, 2])
        #expect(photos.counts == [1, 2, 2])
    }

    @Test func contentDecidesAndWhatIsLeftOutIsCounted() throws {
        try add("cat/1.jpg", "cat/2.JFIF", "cat/notes.txt", "dog/1.png", "dog/layers.psd")
        let jpeg = Data([0xFF, 0xD8, 0xFF, 0xE0])
        try jpeg.write(to: URL(filePath: root + "/dog/untitled"))
        try Data("8BPS".utf8).write(to: URL(filePath: root + "/dog/layers.psd"))
        try Data("notes".utf8).write(to: URL(filePath: root + "/cat/notes.txt"))
        let photos = try PhotoFolder.scan(root)
        #expect(
            photos.items.map(\.relativePath)
                == ["cat/1.jpg", "cat/2.JFIF", "dog/1.png", "dog/untitled"])
        #expect(photos.remarks == ["2 files of `\(root)`: 1 .psd, 1 .txt"])
    }

    @Test func refusesWhatIsNoFolderOfClasses() throws {
        func message() -> String {
            do {
                _ = try PhotoFolder.scan(root)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(message().contains("cannot open"))
        try add("1.jpg", "2.jpg")
        #expect(message().contains("found none but 2 photos"))
        try add("cat/1.jpg")
        #expect(throws: PhotoFolderError.oneClass(root, name: "cat")) {
            try PhotoFolder.scan(self.root).requireForTraining()
        }
        // One class is enough to evaluate; an empty one beside it is said.
        try add("dog/readme.txt")
        #expect(try PhotoFolder.scan(root).remarks.contains { $0.contains("\(root)/dog`") })
        try FileManager.default.createSymbolicLink(
            atPath: root + "/dog/out.jpg", withDestinationPath: "/etc/hostname")
        #expect(try PhotoFolder.scan(root).remarks.contains { $0.contains("\(root)/dog/out.jpg`") })
        // Beside photos it is left out, and said.
        try add("dog/1.jpg")
        let photos = try PhotoFolder.scan(root)
        #expect(photos.items.map(\.relativePath) == ["cat/1.jpg", "dog/1.jpg"])
        #expect(photos.remarks.count == 3)
        #expect(
            photos.remarks[0] == "1 link to files outside of the data set: `\(root)/dog/out.jpg`")
        #expect(photos.remarks[1].hasPrefix("2 images outside of the class folders: "))
        #expect(photos.remarks[2] == "1 file of `\(root)`: 1 .txt (empty file)")
        #expect(throws: PhotoFolderError.notAFolder(root + "/1.jpg")) {
            try PhotoFolder.scan(root + "/1.jpg")
        }
    }

    @Test func aSplitIsStratifiedAndStable() throws {
        try fill("cat", 0..<50)
        try fill("dog", 0..<20)
        try fill("rare", 0..<2)
        let photos = try PhotoFolder.scan(root)
        let split = try Split.stratified(photos, seed: 1, fraction: 0.2)
        #expect(split == (try Split.stratified(photos, seed: 1, fraction: 0.2)))
        #expect(split != (try Split.stratified(photos, seed: 2, fraction: 0.2)))
        func held(_ split: Split, _ name: String) -> Int {
            split.validation.count { $0.hasPrefix(name + "/") }
        }
        #expect(held(split, "cat") == 10 && held(split, "dog") == 4 && held(split, "rare") == 1)
        #expect(split.training.count + split.validation.count == 72)

        // One more photo moves at most one other; ten more move none of a remembered split.
        try fill("cat", 50..<51)
        let one = try Split.stratified(PhotoFolder.scan(root), seed: 1, fraction: 0.2)
        #expect(Set(split.training).symmetricDifference(one.training).count <= 2)
        try fill("cat", 51..<60)
        let more = try PhotoFolder.scan(root)
        let kept = try Split.stratified(more, seed: 1, fraction: 0.2, keeping: split)
        #expect(Set(kept.training).isSuperset(of: split.training))
        #expect(Set(kept.validation).isSuperset(of: split.validation))
        #expect(held(kept, "cat") == 12)
        let sides = kept.items(of: more)
        #expect(sides.training.count + sides.validation.count == more.items.count)

        let json = try JSONEncoder().encode(kept)
        #expect(try JSONDecoder().decode(Split.self, from: json) == kept)
    }

    @Test func aSplitNeedsSomethingOnBothSides() throws {
        try fill("cat", 0..<1)
        try fill("dog", 0..<3)
        let photos = try PhotoFolder.scan(root)
        // The only cat is learned from.
        let split = try Split.stratified(photos, seed: 0, fraction: 0.5)
        #expect(split.training.contains("cat/0.jpg") && split.validation.count == 2)
        #expect(photos.loneClasses?.contains("`cat`") == true)
        let single = PhotoFolder(
            path: root, classes: photos.classes,
            items: [photos.items[0], photos.items[1]])
        #expect(throws: PhotoFolderError.tooFew("cat", count: 1)) {
            try Split.stratified(single, seed: 0, fraction: 0.5)
        }
        for fraction in [0, 1, -1, .nan] as [Double] {
            #expect(throws: PhotoFolderError.self) {
                try Split.stratified(photos, seed: 0, fraction: fraction)
            }
        }
    }
}
