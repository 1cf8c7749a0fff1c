// Exports of tools that few people use: read as their tool means them, or refused by name, never taken for class folders.

import Foundation
import GraftImages
import Testing

@testable import GraftTraining

@Suite final class UnreadSetsTests {
    private let drawn = DrawnSet()
    private var root: String { drawn.root }

    private func write(_ text: String, to name: String) throws { try drawn.write(text, to: name) }

    private func draw(_ names: String...) throws { try drawn.draw(names) }

    /// What is said of a set that is refused, with what to do; nil of one that is read.
    private func refusal(_ path: String? = nil, _ reading: PhotoReading = PhotoReading()) -> String?
    {
        do {
            _ = try AnnotatedImages.read(path ?? root, reading)
            return nil
        } catch let error as DataSetError {
            return "\(error.message); \(error.hint ?? "no hint")"
        } catch {
            return "\(error)"
        }
    }

    /// Class and edges of what a set of one image holds.
    private func boxes() throws -> [String] {
        try AnnotatedImages.read(root).images.flatMap(\.annotations).map { annotation in
            let box = annotation.boundingBox
            let edges = box.map { [$0.left, $0.top, $0.right, $0.bottom] } ?? []
            return ([annotation.label] + edges.map { "\($0)" }).joined(separator: " ")
        }
    }

    @Test func corners() throws {
        try draw("images/a.png", "images/b.png")
        try write(
            "imagesource:GoogleEarth\ngsd:0.1\n2 1 8 1 8 6 2 6 plane 1\n1 1 nan 1 2 2 1 2 ship 0\n",
            to: "labelTxt/a.txt")
        try write("", to: "labelTxt/b.txt")
        #expect(try boxes() == ["plane 2.0 1.0 8.0 6.0"])
        let set = try AnnotatedImages.read(root)
        #expect(set.images.count == 2 && set.images[0].annotations[0].isDifficult)
        #expect(set.images[0].annotations[0].orientedBox.count == 4)
        #expect(set.omissions.count == 1)
    }

    /// Roboflow's oriented boxes: a `data.yaml` that lists the classes, and `labelTxt` in each split.
    @Test func cornersWithSettings() throws {
        try draw("train/images/a.png", "valid/images/b.png")
        try write("0 0 4 0 4 4 0 4 cat 0\n", to: "train/labelTxt/a.txt")
        try write("0 0 4 0 4 4 0 4 ant 0\n", to: "valid/labelTxt/b.txt")
        try write(
            "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [cat, ant]\n",
            to: "data.yaml")
        let set = try AnnotatedImages.read(root)
        #expect(set.classes == ["cat", "ant"])
        #expect(set.images.map(\.split) == [.training, .validation])
        #expect(try boxes() == ["cat 0.0 0.0 4.0 4.0", "ant 0.0 0.0 4.0 4.0"])
    }

    @Test func kitti() throws {
        try draw("training/image_2/a.png", "testing/image_2/b.png")
        let rest = "-1 -1 -1 -1000 -1000 -1000 -10"
        try write(
            "Car 0.90 0 -1.57 2.5 1.0 8.0 6.0 \(rest)\nDontCare -1 -1 -10 1 1 2 2 \(rest)\nCar 1 2\n",
            to: "training/label_2/a.txt")
        #expect(try boxes() == ["Car 2.5 1.0 8.0 6.0"])
        let set = try AnnotatedImages.read(root)
        #expect(set.images.count == 1 && set.images[0].annotations[0].isTruncated)
        // A region without a class, a line that is too short, and the image without a text.
        #expect(set.omissions.count == 3)
    }

    @Test func settingsThatListOnlyNames() throws {
        try draw("images/a.png", "images/b.png")
        try write("1 0.5 0.5 0.5 0.4\n", to: "labels/a.txt")
        try write("names: [ant, cat]\nnc: 2\n", to: "data.yaml")
        #expect(try boxes() == ["cat 5.0 3.0 15.0 7.0"])
        try FileManager.default.removeItem(atPath: root + "/labels")
        #expect(refusal(root + "/data.yaml")?.contains("expected `names` and `train`") == true)
    }

    @Test func aListOfClassesIsNoYOLOWithoutTexts() throws {
        try draw("images/cat/a.png", "images/dog/b.png")
        try write("1 cat\n2 dog\n", to: "classes.txt")
        #expect(try PhotoFolder.open(root).classes == ["cat", "dog"])
    }

    @Test func via3() throws {
        try draw("a.png")
        try write(
            """
            {"project": {"data_format_version": "3.1.1"}, "file": {"1": {"fid": 1, "fname": "a.png"}},
            "attribute": {"1": {"aname": "class", "options": {"0": "cat", "1": "dog"}}},
            "view": {"1": {"fid_list": [1]}},
            "metadata": {"1_a": {"vid": "1", "z": [], "xy": [2, 1, 2, 4, 3], "av": {"1": "1"}},
            "1_b": {"vid": "1", "z": [], "xy": [7, 0, 0, 6, 0, 6, 5], "av": {"1": "0"}},
            "1_c": {"vid": "1", "z": [1, 2], "xy": [], "av": {"1": "0"}},
            "1_d": {"vid": "9", "z": [], "xy": [2, 1, 1, 1, 1], "av": {"1": "0"}}}}
            """, to: "via.json")
        #expect(try boxes() == ["dog 1.0 2.0 5.0 5.0", "cat 0.0 0.0 6.0 5.0"])
        #expect(try AnnotatedImages.read(root).omissions.count == 2)
    }

    @Test func vott() throws {
        try draw("a.png")
        try write(
            """
            {"name": "x", "tags": [{"name": "cat"}], "assets": {"i": {"asset": {"name": "a.png",
            "size": {"width": 20, "height": 10}}, "regions": [{"type": "RECTANGLE", "tags": ["cat"],
            "boundingBox": {"left": 1, "top": 2, "width": 4, "height": 3}}, {"type": "POLYLINE",
            "tags": ["cat"], "points": []}]}}}
            """, to: "x-export.json")
        #expect(try boxes() == ["cat 1.0 2.0 5.0 5.0"])
        #expect(try AnnotatedImages.read(root).omissions.count == 1)
    }

    /// The Hub's `objects` as the text of a field: JSON, or Python's quotes as pandas writes them.
    @Test(arguments: [
        #"{""bbox"": [[1, 2, 4, 3]], ""categories"": [""cat""]}"#,
        "{'bbox': [[1, 2, 4, 3]], 'categories': ['cat']}",
    ]) func objectsInAField(field: String) throws {
        try draw("a.png")
        try write("file_name,objects\na.png,\"\(field)\"\n", to: "metadata.csv")
        #expect(try boxes() == ["cat 1.0 2.0 5.0 5.0"])
    }

    /// Tables whose first row is a box: of Make Sense, and of Google's AutoML with shares of the sides.
    @Test func tablesWithoutNamesOfColumns() throws {
        try draw("a.png")
        try write("cat,1,2,4,3,a.png,20,10\n", to: "labels_my-project.csv")
        #expect(try boxes() == ["cat 1.0 2.0 5.0 5.0"])
        try write(
            "TRAIN,gs://bucket/a.png,cat,0.05,0.2,,,0.25,0.5,,\nTEST,gs://bucket/b.png,,,,,,,,,\n",
            to: "labels_my-project.csv")
        #expect(try boxes() == ["cat 1.0 2.0 5.0 5.0"])
    }

    /// COCO's panoptic sets: each segment is an annotation, and its mask is said not to be read.
    @Test func panoptic() throws {
        try draw("images/a.png")
        try write(
            """
            {"images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 10}],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "sky"}],
            "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [
            {"id": 9, "category_id": 1, "bbox": [1, 2, 4, 3], "iscrowd": 0},
            {"id": 5, "category_id": 2, "bbox": [0, 0, 20, 4], "iscrowd": 1},
            {"id": 6, "category_id": 7, "bbox": [0, 0, 20, 4]}]}]}
            """, to: "annotations/panoptic_train.json")
        #expect(try boxes() == ["cat 1.0 2.0 5.0 5.0", "sky 0.0 0.0 20.0 4.0"])
        let set = try AnnotatedImages.read(root)
        #expect(set.notes.contains { $0.contains("panoptic") } && set.omissions.count == 1)
        #expect(set.images[0].annotations[1].isCrowd)
    }

    @Test(arguments: [
        ("train/a.tfrecord-00000-of-00002", "is a TFRecord file"), ("x/data.mdb", "LMDB"),
        ("train-images-idx3-ubyte", "IDX"), ("data_batch_1", "CIFAR"), ("x.npz", "holds arrays"),
        ("train.h5", "holds arrays"), ("set/images.zip", "is an archive"), ("a.arrow", "Arrow"),
    ]) func whatHoldsImagesItselfIsNamed(name: String, words: String) throws {
        try write("x", to: name)
        let refusal = refusal() ?? ""
        #expect(refusal.contains(words) && refusal.contains(name) && !refusal.contains("no hint"))
    }

    @Test(arguments: [
        ("images/a.png", "wider_face_split/wider_face_train_bbx_gt.txt", "WIDER FACE"),
        ("seq1/img1/a.png", "seq1/gt/gt.txt", "MOT"), ("Images/a.png", "x.odgt", "CrowdHuman"),
        ("images/a.png", "output.manifest", "SageMaker"),
        ("leftImg8bit/train/a/a.png", "gtFine/train/a/a_gtFine_polygons.json", "Cityscapes"),
        ("train/a.png", "train/_annotations.txt", "Keras YOLO"),
        ("images/a.png", "annotations/a.txt", "no format of annotations"),
        ("images/100k/train/a.png", "labels/det_train.json", "no format of annotations"),
    ]) func annotationsThatAreNotReadAreNamed(image: String, file: String, words: String) throws {
        try draw(image)
        try write("{}", to: file)
        let said = refusal() ?? ""
        #expect(said.contains(words) && said.contains(file) && !said.contains("no hint"))
        // Whoever insists has class folders.
        var reading = PhotoReading()
        reading.classesAreFolders = true
        #expect(refusal(root, reading) == nil)
    }

    @Test func masksAreNoClasses() throws {
        try draw("JPEGImages/a.png", "SegmentationClass/a.png")
        #expect(refusal()?.contains("`\(root)/SegmentationClass/a.png` is a mask") == true)
        try draw("faces/mask/a.png", "faces/no_mask/b.png")
        #expect(try PhotoFolder.open(root + "/faces").classes == ["mask", "no_mask"])
        try draw("one/a.png", "one/a_mask.png")
        #expect(refusal(root + "/one")?.contains("a_mask.png` is a mask") == true)
    }

    @Test func classFoldersMayHaveFilesBeside() throws {
        try draw("cat/a.png", "dog/b.png")
        for name in ["README.txt", "class_indices.json", "meta/train.txt", "cat/notes.txt"] {
            try write("{}", to: name)
        }
        #expect(try PhotoFolder.open(root).classes == ["cat", "dog"])
    }
}
