// Labelled photos as other programs write them down, and groups that stay together.

import Foundation
import GraftImages
import GraftTensors
import GraftTraining
import Testing

@Suite final class AnnotationTests {
    let folder = NSTemporaryDirectory() + "graft-annotations-\(UUID().uuidString)"

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func write(_ text: String, _ name: String) throws {
        let url = URL(fileURLWithPath: "\(folder)/\(name)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: url)
    }

    private func draw(_ name: String, _ color: Color = .white) throws {
        try write("", name)
        try Image(width: 20, height: 10, color: color).writePNG(to: "\(folder)/\(name)")
    }

    private var crops: PhotoReading {
        var reading = PhotoReading()
        reading.crops = true
        return reading
    }

    @Test func cocoIsLabelsOrCrops() throws {
        try draw("images/1.png")
        try write(
            """
            {"images": [{"id": 7, "file_name": "1.png"}, {"id": 8, "file_name": "none.png"}],
             "categories": [{"id": 3, "name": "dog"}, {"id": 90, "name": "cat"}],
             "annotations": [
              {"id": 1, "image_id": 7, "category_id": 90, "bbox": [2, 1, 4, 5]},
              {"id": 2, "image_id": 7, "category_id": 3, "bbox": [0, 0, 20, 10], "iscrowd": 1},
              {"id": 3, "image_id": 7, "category_id": 3, "bbox": [5, 5, 0, 2]}]}
            """, "coco.json")
        let photos = try PhotoFolder.open(folder + "/coco.json")
        #expect(photos.classes == ["cat", "dog"] && photos.labelling == .labels)
        #expect(photos.items.map(\.relativePath) == ["1.png"])
        #expect(photos.items.map(\.targets) == [[1, 0]])
        #expect(FileManager.default.fileExists(atPath: photos.items[0].path))
        // A box of no width, and an image that is not there.
        #expect(photos.remarks.count == 2)
        let boxes = try PhotoFolder.open(folder + "/coco.json", crops)
        #expect(boxes.items.map(\.relativePath) == ["1.png#0"] && boxes.labelling == .oneClass)
        #expect(boxes.items[0].box == Box(left: 2, top: 1, right: 6, bottom: 6))
        let cut = try boxes.items[0].open()
        #expect(cut.width == 4 && cut.height == 5)
    }

    @Test func yoloIsRead() throws {
        try draw("train/images/a.png")
        try draw("train/images/b.png")
        try write("1 0.5 0.5 0.5 0.4\n\n0 0.1 0.5 0.2 1.0\n", "train/labels/a.txt")
        try write(
            "# a comment\npath: .\ntrain: train/images\nnames:\n  0: cat\n  1: 'big dog'\n",
            "data.yaml")
        let photos = try PhotoFolder.open(folder + "/data.yaml")
        #expect(photos.classes == ["cat", "big dog"])
        #expect(photos.items.map(\.targets) == [[1, 1], [0, 0]])
        let boxes = try PhotoFolder.open(folder + "/data.yaml", crops).items.compactMap(\.box)
        #expect(boxes.contains(Box(left: 5, top: 3, right: 15, bottom: 7)))
        try write("9 0.5 0.5 0.5 0.4\n", "train/labels/b.txt")
        let odd = try AnnotatedImages.read(folder + "/data.yaml")
        #expect(odd.images.map(\.annotations.count) == [2, 0])
        #expect(odd.omissions.count(of: .unknownClass) == 1)
        #expect(odd.remarks.first?.contains("train/labels/b.txt:1") == true)
    }

    @Test func vocIsRead() throws {
        try draw("JPEGImages/x.png")
        func annotation(_ box: String) -> String {
            """
            <?xml version="1.0"?><annotation><filename>x.png</filename>
            <object><name>a &amp; b</name><truncated>0</truncated><bndbox>\(box)</bndbox></object>
            <object><name>cell</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>10</ymax></bndbox></object>
            </annotation>
            """
        }
        try write(
            annotation("<xmin>3</xmin><ymin>2</ymin><xmax>5</xmax><ymax>6</ymax>"),
            "Annotations/x.xml")
        let photos = try PhotoFolder.open(folder, crops)
        #expect(photos.classes == ["a & b", "cell"])
        #expect(photos.items[0].box == Box(left: 2, top: 1, right: 5, bottom: 6))
        #expect(photos.items.allSatisfy { $0.group == "JPEGImages/x.png" })
        try write(
            annotation("<xmin>3</xmin><ymin>2</ymin><xmax>3</xmax><ymax>6</ymax>"),
            "Annotations/x.xml")
        #expect(try PhotoFolder.open(folder).remarks.count == 1)
        try write("<annotation><filename>y.png</filename></annotation>", "Annotations/z.xml")
        let odd = try PhotoFolder.open(folder)
        #expect(odd.items.count == 1 && odd.remarks.count == 2)
        #expect(odd.remarks.last?.contains("Annotations/z.xml") == true)
    }

    @Test func tablesOfLabelsAndNumbers() throws {
        for place in ["", "hub/", "objects/"] {
            for index in 1...3 { try draw("\(place)\(index).png") }
        }
        try write("path,labels,group\n1.png,a|b,x\n2.png,,x\n3.png,b; c,y\n", "labels.csv")
        let labels = try PhotoFolder.open(folder + "/labels.csv")
        #expect(labels.classes == ["a", "b", "c"] && labels.counts == [1, 2, 1])
        #expect(labels.items.map(\.targets) == [[1, 1, 0], [0, 0, 0], [0, 1, 1]])
        #expect(labels.items.map(\.group) == ["x", "x", "y"])
        try write("path,Sky,sea\n1.png,1,0\n2.png,0,1\n", "columns.csv")
        let columns = try PhotoFolder.open(
            folder + "/columns.csv", PhotoReading(task: .multiLabel))
        #expect(columns.classes == ["Sky", "sea"])
        try write("file,value\n1.png,2.5\n2.png,-1e2\n", "numbers.csv")
        let numbers = try PhotoFolder.open(folder + "/numbers.csv")
        #expect(numbers.labelling == .values && numbers.items.map(\.targets) == [[2.5], [-100]])
        try write("file,value\n1.png,many\n", "bad.csv")
        #expect(throws: PhotoTableError.self) { try PhotoFolder.open(self.folder + "/bad.csv") }
        try write(
            "{\"file_name\": \"1.png\", \"label\": 3}\n{\"file_name\": \"2.png\", \"label\": 11}\n",
            "hub/metadata.jsonl")
        let hub = try PhotoFolder.open(folder + "/hub")
        #expect(hub.classes == ["11", "3"] && hub.items[0].path == folder + "/hub/2.png")
        try write(
            "{\"file_name\":\"1.png\",\"objects\":{\"bbox\":[[1,2,3,4]],\"categories\":[0]}}\n",
            "objects/metadata.jsonl")
        #expect(try PhotoFolder.open(folder + "/objects").items[0].targets == [1])
    }

    @Test func archivesAreReadInPlace() throws {
        for (name, color) in [("a", Color(200, 0, 0)), ("b", Color(0, 0, 200))] {
            for index in 0..<3 { try draw("photos/\(name)/\(index).png", color) }
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/tar")
        process.arguments = ["-cf", folder + "/photos.tar", "-C", folder + "/photos", "."]
        try process.run()
        process.waitUntilExit()
        let photos = try PhotoFolder.open(folder + "/photos.tar")
        #expect(photos.classes == ["a", "b"] && photos.counts == [3, 3])
        #expect(try photos.items[5].open()[0, 0] == Color(0, 0, 200))
        // Cut anywhere, it is refused or shorter, and nothing is read beyond its end.
        let whole = try Data(contentsOf: URL(fileURLWithPath: folder + "/photos.tar"))
        for count in [100, 512, 700, 2000, 3000] {
            try whole.prefix(count).write(to: URL(fileURLWithPath: folder + "/cut.tar"))
            #expect(throws: (any Error).self) { try PhotoFolder.open(self.folder + "/cut.tar") }
        }
    }

    @Test func groupsStayTogether() throws {
        var items: [PhotoFolder.Item] = []
        for index in 0..<120 {
            var item = PhotoFolder.Item(
                path: "", relativePath: "\(index % 3)/p\(index / 4)_\(index).jpg",
                classIndex: index % 3)
            item.group = "p\(index / 4)"
            items.append(item)
        }
        let photos = PhotoFolder(path: "", classes: ["a", "b", "c"], items: items)
        for seed in 0..<5 {
            let split = try Split.stratified(photos, seed: UInt64(seed), fraction: 0.25)
            let sides = split.items(of: photos)
            #expect(
                Set(sides.training.map(\.group)).isDisjoint(
                    with: Set(sides.validation.map(\.group))))
            #expect(sides.training.count + sides.validation.count == 120)
            for index in 0..<3 {
                let held = sides.validation.count { $0.classIndex == index }
                #expect((8...12).contains(held), "\(held) of 40")
            }
        }
        for index in items.indices { items[index].group = "one" }
        #expect(throws: PhotoFolderError.self) {
            try Split.stratified(
                PhotoFolder(path: "", classes: ["a", "b", "c"], items: items), seed: 0,
                fraction: 0.25)
        }
    }
}
