// How folders and tables are read as people have them: splits, wrappers, odd names, and what columns mean.

import Foundation
import GraftImages
import GraftTensors
import Testing

@testable import GraftTraining

@Suite final class DivisionTests {
    let root = NSTemporaryDirectory() + "graft-division-\(UUID().uuidString)"

    deinit { try? FileManager.default.removeItem(atPath: root) }

    private func write(_ text: String, _ name: String, _ encoding: String.Encoding = .utf8) throws {
        let url = URL(fileURLWithPath: "\(root)/\(name)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try (text.data(using: encoding) ?? Data()).write(to: url)
    }

    private func fill(_ folder: String, _ classes: [String] = ["cat", "dog"], count: Int = 2) throws
    {
        for name in classes {
            for index in 0..<count { try write("", "\(folder)/\(name)/\(index).jpg") }
        }
    }

    private func counts(_ photos: PhotoFolder) -> [Int] {
        DataSplit.allCases.map { split in photos.items.count { $0.split == split } }
    }

    @Test(arguments: [
        ("train", DataSplit.training), ("Training", .training), ("TRAIN", .training),
        ("seg_train", .training), ("training_set", .training), ("train2017", .training),
        ("trainingSet", .training), ("images-train", .training), ("val", .validation),
        ("Valid", .validation), ("validation", .validation), ("dev", .validation),
        ("instances_val2017", .validation), ("TEST", .test), ("test_set", .test),
        ("testing", .test),
    ])
    func namesOfSplits(name: String, split: DataSplit) {
        #expect(DataSplit(naming: name) == split)
    }

    @Test(arguments: ["trainval", "bus", "train_bus", "test-drive", "", "latest", "strain", "2017"])
    func otherNames(name: String) {
        #expect(DataSplit(naming: name) == nil)
    }

    @Test(arguments: [
        ["train", "val"], ["Training", "Validation"], ["seg_train/seg_train", "seg_val/seg_val"],
        ["set/TRAIN", "set/VALID"], ["training_set", "dev_set"],
    ])
    func foldersDivideASet(folders: [String]) throws {
        for folder in folders { try fill(folder) }
        try write("x", "readme.txt")
        let photos = try PhotoFolder.open(root)
        #expect(photos.classes == ["cat", "dog"] && counts(photos) == [4, 4, 0])
        #expect(photos.notes.contains { $0.contains("--classes-are-folders") })
        #expect(Set(photos.items.map(\.relativePath)).count == 8)
    }

    @Test func testImagesAreForEvaluation() throws {
        try fill("train")
        try fill("test")
        try fill("weights", ["a"])
        let photos = try PhotoFolder.open(root)
        #expect(counts(photos) == [4, 0, 4] && photos.isDivided)
        #expect(photos.evaluated.split == .test && photos.evaluated.photos.items.count == 4)
        #expect(photos.division?.contains("graft evaluate") == true)
        #expect(photos.remarks.contains { $0.contains("weights") })
    }

    @Test func partsOfOneSetAreJoined() throws {
        try fill("left")
        try fill("right")
        let photos = try PhotoFolder.open(root)
        #expect(photos.classes == ["cat", "dog"] && photos.items.count == 8 && !photos.isDivided)
        var reading = PhotoReading()
        reading.classesAreFolders = true
        #expect(try PhotoFolder.open(root, reading).classes == ["left", "right"])
    }

    @Test func classesOfOtherFormStayClasses() throws {
        try fill("cat", ["siamese", "tabby"])
        try write("", "dog/1.jpg")
        #expect(try PhotoFolder.open(root).classes == ["cat", "dog"])
    }

    @Test func halvesWithoutClassesAreRefused() throws {
        try write("", "train/1.jpg")
        try write("", "test/1.jpg")
        #expect(throws: PhotoFolderError.unlabelledSplits(root, names: ["test", "train"])) {
            try PhotoFolder.open(self.root)
        }
        var reading = PhotoReading()
        reading.classesAreFolders = true
        #expect(try PhotoFolder.open(root, reading).classes == ["test", "train"])
    }

    @Test func wrappersAndSystemFilesArePassed() throws {
        try fill("photos/photos")
        try write("x", "__MACOSX/photos/cat/._0.jpg")
        try write("x", "photos/photos/cat/._0.jpg")
        let photos = try PhotoFolder.open(root)
        #expect(photos.classes == ["cat", "dog"] && photos.items.count == 4)
        #expect(photos.remarks.contains { $0.contains("__MACOSX") })
    }

    @Test func linksAreNamedAndFollowedIfAsked() throws {
        try fill("set")
        let other = root + "/other"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        for name in ["cat", "dog"] {
            try FileManager.default.createSymbolicLink(
                atPath: "\(other)/\(name)", withDestinationPath: "\(root)/set/\(name)")
        }
        #expect(throws: PhotoFolderError.onlyLinks(other, names: ["cat", "dog"])) {
            try PhotoFolder.open(other)
        }
        // A link that leads back to itself ends.
        try FileManager.default.createSymbolicLink(
            atPath: root + "/set/cat/loop", withDestinationPath: root + "/set/cat")
        var reading = PhotoReading()
        reading.followsLinks = true
        #expect(try PhotoFolder.open(other, reading).counts == [2, 2])
    }

    @Test func namesThatAreNotUTF8AreKept() throws {
        try fill("set", ["chien"])
        let place = Array("\(root)/set/caf".utf8) + [0xE9]
        let path = PathBytes.string(place)
        #expect(PathBytes.bytes(path) == place && PathBytes.isRaw(path))
        PathBytes.withCString(path) { _ = mkdir($0, 0o700) }
        let file = PathBytes.string(place + Array("/\u{E9}1".utf8) + [0xE9] + Array(".jpg".utf8))
        let made = PathBytes.withCString(file) { open($0, O_CREAT | O_WRONLY, 0o600) }
        try #require(made >= 0)
        close(made)
        let photos = try PhotoFolder.open(root + "/set")
        #expect(photos.classes == ["café", "chien"] && photos.counts == [1, 2])
        #expect(photos.items[0].path == file)
        #expect(try Storage(mapping: file).byteCount == 0)
    }

    @Test func namesOfOneTextAndOtherBytesAreTwoClasses() throws {
        try fill("", ["caf\u{E9}", "cafe\u{301}"])
        let photos = try PhotoFolder.open(root)
        #expect(photos.classes.count == 2 && photos.counts == [2, 2])
        #expect(photos.notes.count == 1)
    }

    // MARK: tables

    private func table(
        _ text: String, _ name: String = "t.csv", _ encoding: String.Encoding = .utf8,
        _ change: (inout PhotoReading) -> Void = { _ in }
    ) throws -> PhotoFolder {
        for index in 1...3 { try write("", "pics/\(index).jpg") }
        try write(text, name, encoding)
        var reading = PhotoReading()
        change(&reading)
        return try PhotoFolder.open(root + "/" + name, reading)
    }

    @Test(arguments: [
        "id,label\n1,cat\n2,dog\n3,cat\n",
        "label;Image Name\r\ncat;pics/1.jpg\r\ndog;2.jpg\r\ncat;3\r\n",
        "image_id\tbreed\n1\tcat\n2\tdog\n3\tcat\n",
        "path, label,\npics\\1.jpg, cat,\n./2.jpg,dog ,\n3.jpg, \"cat\",\n",
        ",path,label\n0,/x/y/1.jpg,cat\n1,C:\\x\\2.jpg,dog\n2,https://h/3.jpg?a=1,cat\n",
        "1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n",
        "filename|kind\n1.jpg|cat\n2.jpg|dog\n\n3.jpg|cat\n|\n",
    ])
    func tablesOfClasses(text: String) throws {
        for encoding in [String.Encoding.utf8, .utf16] {
            let photos = try table(text, "t.csv", encoding)
            #expect(photos.classes == ["cat", "dog"] && photos.counts == [2, 1])
            #expect(photos.items.allSatisfy { $0.path.hasPrefix(root + "/pics/") })
            #expect(photos.remarks == [])
        }
    }

    @Test func columnsAreNamedByRole() throws {
        let text = "key,what,who,part\n1,cat,a,train\n2,dog,b,train\n3,cat,a,test\n"
        #expect(throws: PhotoTableError.noPaths(root + "/t.csv", found: "key, what, who, part")) {
            try self.table(text)
        }
        let photos = try table(text) {
            $0.columnRoles = ["path": "key", "label": "what", "group": "who", "split": "part"]
            $0.folder = "pics"
            $0.fileExtension = "jpg"
        }
        #expect(photos.classes == ["cat", "dog"] && counts(photos) == [2, 0, 1])
        #expect(photos.items.compactMap(\.group) == ["a", "a", "b"])
        #expect(
            throws: PhotoTableError.noColumn(
                root + "/t.csv", column: "none", found: "key, what, who, part")
        ) { try self.table(text) { $0.columnRoles = ["path": "none"] } }
    }

    @Test func severalLabelsInAField() throws {
        let text = "image,labels\n1.jpg,cat pet\n2.jpg,dog pet\n3.jpg,dog\n"
        let whole = try table(text)
        #expect(whole.classes == ["cat pet", "dog", "dog pet"])
        #expect(whole.notes.contains { $0.contains("--label-delimiter") })
        let parted = try table(text) { $0.labelDelimiter = " " }
        #expect(parted.classes == ["cat", "dog", "pet"] && parted.counts == [1, 2, 2])
        let quoted = try table("image,labels\n1.jpg,\"cat, pet\"\n2.jpg,\"dog,pet\"\n3.jpg,dog\n")
        #expect(quoted.classes == ["cat", "dog", "pet"])
        let single = try table("image,label\n1.jpg,cat|pet\n2.jpg,dog\n3.jpg,dog\n")
        #expect(single.notes.contains { $0.contains("--label-delimiter '|'") })
    }

    @Test(arguments: [
        "filename, cat, dog\n1.jpg, 1, 0\n2.jpg, 0, 1\n3.jpg, 1, 1\n",
        "image_id,cat,dog\n1.jpg,1,-1\n2.jpg,-1,1\n3.jpg,1,1\n",
        "filename;cat;dog\n1.jpg;1.0;0.0\n2.jpg;False;true\n3.jpg;yes;yes\n",
    ])
    func aColumnForEachLabel(text: String) throws {
        let photos = try table(text)
        #expect(photos.labelling == .labels && photos.classes == ["cat", "dog"])
        #expect(photos.items.map(\.targets) == [[1, 0], [0, 1], [1, 1]])
    }

    @Test func severalRowsOfAnImage() throws {
        let photos = try table("path,label\n1.jpg,a\n1.jpg,b\n2.jpg,a\n2.jpg,c\n3.jpg,a\n")
        #expect(photos.labelling == .labels && photos.counts == [3, 1, 1])
        let repeated = try table("path,label\n1.jpg,a\n2.jpg,b\n3.jpg,a\n1.jpg,b\n")
        #expect(repeated.labelling == .oneClass && repeated.items.count == 3)
        #expect(repeated.remarks.count == 1 && repeated.remarks[0].contains("t.csv:5"))
    }

    @Test func rowsThatSayNothingAreCounted() throws {
        let photos = try table("path,value\n1.jpg,\"2,5\"\n2.jpg,NaN\n3.jpg,\ngone.jpg,3\n1.jpg\n")
        #expect(photos.items.map(\.targets) == [[2.5]])
        #expect(photos.remarks.count == 3)
        #expect(photos.remarks.contains { $0.hasPrefix("2 rows without a finite number") })
        #expect(throws: PhotoTableError.noImages(root + "/t.csv", first: "x.jpg", column: "path")) {
            try self.table("path,label\nx.jpg,a\ny.jpg,b\n")
        }
    }

    @Test func aTableNamesItsSplits() throws {
        let photos = try table("path,label,split\n1.jpg,a,train\n2.jpg,b,Valid\n3.jpg,a,TEST\n")
        #expect(counts(photos) == [1, 1, 1])
        let numbered = try table("image_id,label,partition\n1.jpg,a,0\n2.jpg,b,1\n3.jpg,a,2\n")
        #expect(counts(numbered) == [1, 1, 1] && numbered.notes.count == 1)
        let other = try table("path,label,set\n1.jpg,a,red\n2.jpg,b,blue\n3.jpg,a,red\n")
        #expect(counts(other) == [0, 0, 0])
        #expect(other.notes == ["`set` names no splits and is not used"])
    }
}
