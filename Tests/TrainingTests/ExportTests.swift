// One annotated scene as every tool exports it: all readers find the same boxes.

import Foundation
import GraftFormats
import GraftImages
import GraftTensors
import Testing

@testable import GraftTraining

@Suite final class ExportTests {
    let folder = NSTemporaryDirectory() + "graft-exports-\(UUID().uuidString)"
    /// Two images of 40 × 20 pixels, and their boxes: left, top, width, height.
    private let scene: [(name: String, boxes: [(label: String, sides: [Double])])] = [
        ("one", [("cat", [4, 2, 10, 8]), ("dog", [20, 5, 16, 10])]),
        ("two", [("dog", [0, 0, 40, 20])]),
    ]
    private let names = ["cat", "dog"]

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func write(_ text: String, _ name: String, _ encoding: String.Encoding = .utf8) throws {
        try write(text.data(using: encoding) ?? Data(), name)
    }

    private func write(_ data: Data, _ name: String) throws {
        let url = URL(fileURLWithPath: "\(folder)/\(name)")
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
        try data.write(to: url)
    }

    private func draw(_ place: String, only: Int? = nil) throws {
        for (index, image) in scene.enumerated() where only == nil || only == index {
            try write(Data(), "\(place)/\(image.name).png")
            try Image(width: 40, height: 20, color: .white)
                .writePNG(to: "\(folder)/\(place)/\(image.name).png")
        }
    }

    /// What was read as the scene has it.
    private func found(_ set: AnnotatedImages) -> [String: [String]] {
        var found: [String: [String]] = [:]
        for image in set.images {
            let name =
                fileName(image.name.replacing("\\", with: "/")).split(separator: ".").first.map(
                    String.init) ?? ""
            found[name, default: []] += image.annotations.map { annotation in
                let box = annotation.boundingBox ?? Box(left: 0, top: 0, right: 0, bottom: 0)
                let sides = [box.left, box.top, box.right - box.left, box.bottom - box.top]
                return "\(annotation.label) \(sides.map { Int($0.rounded()) })"
            }.sorted()
        }
        return found
    }

    private var truth: [String: [String]] {
        Dictionary(
            uniqueKeysWithValues: scene.map { image in
                (image.name, image.boxes.map { "\($0.label) \($0.sides.map { Int($0) })" }.sorted())
            })
    }

    private func expectScene(
        _ path: String, _ location: Testing.SourceLocation = #_sourceLocation
    ) throws {
        let set = try AnnotatedImages.read(folder + path)
        #expect(found(set) == truth, sourceLocation: location)
        #expect(set.remarks == [], sourceLocation: location)
    }

    // MARK: YOLO

    private func yolo(_ place: String, end: String = "\n", separator: String = " ") throws {
        for image in scene {
            let lines = image.boxes.map { label, sides in
                let numbers = [
                    (sides[0] + sides[2] / 2) / 40, (sides[1] + sides[3] / 2) / 20, sides[2] / 40,
                    sides[3] / 20,
                ]
                return ([String(names.firstIndex(of: label) ?? 0)] + numbers.map { "\($0)" })
                    .joined(separator: separator) + end
            }
            try write(lines.joined(), "\(place)/\(image.name).txt")
        }
    }

    @Test(arguments: [
        ("train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cat', 'dog']\n", "\n"),
        ("train: train/images\r\nnames: [cat, dog]\r\n", "\r\n"),
        ("train: [train/images]\nnames:\n  1: dog\n  0: cat\n", "\r"),
        ("path: ../datasets/x\ntrain: train\nnames: {0: cat, 1: dog}\n", "\n"),
        ("path: /content/x\ntrain:\n- train/images\nnames:\n- cat\n- dog\n", "\n"),
        ("train: list.txt\nnames: [cat,\n  'dog']\n", "\n"),
        ("train: C:\\sets\\train\\images\nnames: [cat, dog]  # two\n", "\n"),
        ("train: train/images/*.png\nnames: names.txt\n", "\n"),
    ])
    func yoloSettings(yaml: String, end: String) throws {
        try draw("train/images")
        try yolo("train/labels", end: end)
        try write("./train/images/one.png\r\ntrain/images/two.png\r\n", "list.txt")
        try write("cat\r\ndog\r\n", "names.txt")
        try write("\u{FEFF}" + yaml, "data.yaml")
        let set = try AnnotatedImages.read(folder + "/data.yaml")
        #expect(found(set) == truth && set.classes == names)
        #expect(found(try AnnotatedImages.read(folder)) == truth)
    }

    @Test func yoloByNames() throws {
        try draw("pics")
        try yolo("pics", separator: "\t")
        try write("cat\r\ndog\r\n\r\n", "pics/classes.txt")
        try expectScene("")
        try draw("cvat/obj_train_data")
        try yolo("cvat/obj_train_data")
        try write("cat\ndog\n", "cvat/obj.names")
        try write("classes = 2\nnames = data/obj.names\ntrain = data/train.txt\n", "cvat/obj.data")
        try write("data/obj_train_data/one.png\ndata/obj_train_data/two.png\n", "cvat/train.txt")
        try expectScene("/cvat")
        try expectScene("/cvat/obj.data")
    }

    @Test func yoloShapesKeepTheirForm() throws {
        try draw("images")
        try write("train: images\nnames: [cat, dog]\n", "data.yaml")
        try write("0 0.1 0.1 0.35 0.1 0.35 0.5\n", "labels/one.txt")
        try write("1 0.0 0.0 1.0 0.0 1.0 1.0 0.0 1.0\n", "labels/two.txt")
        let mixed = try AnnotatedImages.read(folder + "/data.yaml")
        #expect(mixed.images.flatMap(\.annotations).map(\.polygons.count) == [1, 1])
        #expect(mixed.images[0].annotations[0].box == nil)
        #expect(found(mixed)["one"] == ["cat [4, 2, 10, 8]"])
        #expect(mixed.reduction == "detection takes the bounding boxes of 2 polygons")
        try write("", "labels/one.txt")
        let turned = try AnnotatedImages.read(folder + "/data.yaml")
        #expect(turned.images[1].annotations[0].orientedBox.count == 4)
        #expect(turned.reduction == "detection takes the bounding boxes of 1 oriented boxes")
    }

    @Test func badYoloLinesAreCounted() throws {
        try draw("images")
        try write("train: images\nnames: [cat, dog]\n", "data.yaml")
        try write(
            "0 40 5 20 10\n2 0.5 0.5 0.1 0.1\n0 0.5 0.5 0 0.1\n0 nan 0.5 0.1 0.1\n0 0.5\nx 1 1 1 1\n"
                + "0.0 0.225 0.3 0.25 0.4 0.9\n1 -0.5 0.5 0.1 0.1\n", "labels/one.txt")
        let set = try AnnotatedImages.read(folder + "/data.yaml")
        let one = set.images[0].annotations
        #expect(one.count == 1 && one[0].score == 0.9)
        #expect(found(set)["one"] == ["cat [4, 2, 10, 8]"])
        let causes: [Omissions.Cause] = [
            .notShares, .unknownClass, .emptyBox, .notFinite, .outside,
        ]
        #expect(causes.map { set.omissions.count(of: $0) } == [1, 1, 1, 1, 1])
        #expect(set.omissions.count(of: .malformed) == 2 && set.omissions.count == 7)
        #expect(set.remarks.contains { $0.contains("labels/one.txt:2") })
    }

    // MARK: JSON

    private func coco(_ folder: String = "") -> [String: Any] {
        var annotations: [[String: Any]] = []
        for (index, image) in scene.enumerated() {
            for box in image.boxes {
                annotations.append([
                    "id": annotations.count, "image_id": index + 1, "bbox": box.sides,
                    "category_id": (names.firstIndex(of: box.label) ?? 0) + 1, "iscrowd": 0,
                ])
            }
        }
        return [
            "images": scene.enumerated().map { index, image in
                [
                    "id": index + 1, "file_name": folder + image.name + ".png", "width": 40,
                    "height": 20,
                ] as [String: Any]
            },
            "categories": names.enumerated().map { ["id": $0 + 1, "name": $1] as [String: Any] },
            "annotations": annotations,
        ]
    }

    private func json(_ value: Any, _ name: String) throws {
        try write(try JSONSerialization.data(withJSONObject: value), name)
    }

    @Test(arguments: [
        ("", "", "annotations/instances_default.json", "images/default"),
        ("", "", "train/_annotations.coco.json", "train"),
        ("images/", "", "result.json", "images"),
        ("../../label-studio/data/media/upload/1/", "", "result.json", "images"),
        ("images\\", "", "result.json", "images"),
        ("https://host.example/data/", "?x=1", "annotations.json", "pictures/a"),
    ])
    func cocoFindsItsImages(prefix: String, suffix: String, file: String, place: String) throws {
        try draw(place)
        try json(coco(prefix), file)
        try expectScene("/" + file)
        try expectScene("")
    }

    @Test func toolsOfJSON() throws {
        try draw("createml")
        try json(
            scene.map { image in
                [
                    "image": image.name + ".png",
                    "annotations": image.boxes.map { box in
                        [
                            "label": box.label,
                            "coordinates": [
                                "x": box.sides[0] + box.sides[2] / 2,
                                "y": box.sides[1] + box.sides[3] / 2, "width": box.sides[2],
                                "height": box.sides[3],
                            ],
                        ] as [String: Any]
                    },
                ] as [String: Any]
            }, "createml/_annotations.createml.json")
        try expectScene("/createml")
        try draw("labelstudio/images")
        try json(
            scene.map { image in
                [
                    "data": ["image": "/data/upload/1/0a1b2c3d-\(image.name).png"],
                    "annotations": [
                        [
                            "result": image.boxes.map { box in
                                [
                                    "original_width": 40, "original_height": 20,
                                    "type": "rectanglelabels",
                                    "value": [
                                        "x": box.sides[0] / 0.4, "y": box.sides[1] / 0.2,
                                        "width": box.sides[2] / 0.4, "height": box.sides[3] / 0.2,
                                        "rotation": 0, "rectanglelabels": [box.label],
                                    ] as [String: Any],
                                ] as [String: Any]
                            }
                        ]
                    ],
                ] as [String: Any]
            }, "labelstudio/export.json")
        try expectScene("/labelstudio")
        try draw("labelme")
        for image in scene {
            try json(
                [
                    "imagePath": "..\\\(image.name).png", "imageHeight": 20, "imageWidth": 40,
                    "shapes": image.boxes.map { box in
                        [
                            "label": box.label, "shape_type": "rectangle",
                            "points": [
                                [box.sides[0] + box.sides[2], box.sides[1]],
                                [box.sides[0], box.sides[1] + box.sides[3]],
                            ],
                        ] as [String: Any]
                    },
                ] as [String: Any], "labelme/\(image.name).json")
        }
        try expectScene("/labelme")
        try draw("via")
        try json(
            Dictionary(
                uniqueKeysWithValues: scene.map { image in
                    (
                        image.name + ".png99",
                        [
                            "filename": image.name + ".png", "size": 99,
                            "regions": image.boxes.map { box in
                                [
                                    "shape_attributes": [
                                        "name": "rect", "x": box.sides[0], "y": box.sides[1],
                                        "width": box.sides[2], "height": box.sides[3],
                                    ] as [String: Any], "region_attributes": ["type": box.label],
                                ] as [String: Any]
                            },
                        ] as [String: Any]
                    )
                }), "via/via.json")
        try expectScene("/via")
    }

    @Test func aBadEntryOfCOCOIsCounted() throws {
        try draw("")
        try write(
            """
            {"images": [{"id": "a", "file_name": "one.png", "width": 40, "height": 20},
              {"id": "a", "file_name": "two.png"}, {"id": 3}],
             "categories": [{"id": 1.0, "name": "cat"}],
             "annotations": [
              {"id": 1, "image_id": "a", "category_id": "1", "bbox": ["4", 2, 10, 8.0], "iscrowd": false, "area": NaN},
              {"id": 2, "image_id": "b", "category_id": 1, "bbox": [1, 1, 2, 2]},
              {"id": 3, "image_id": "a", "category_id": 9, "bbox": [1, 1, 2, 2]},
              {"id": 4, "image_id": "a", "category_id": 1, "bbox": null},
              {"id": 5, "image_id": "a", "category_id": 1, "bbox": [500, 500, 2, 2]},
              {"id": 6, "image_id": "a", "category_id": 1, "bbox": [NaN, 1, 2, 2]},
              {"id": 7, "image_id": "a", "category_id": 1, "bbox": [1, 1, -2, 2]}, 8]}
            """, "x.json")
        let set = try AnnotatedImages.read(folder + "/x.json")
        #expect(found(set) == ["one": ["cat [4, 2, 10, 8]"]])
        #expect(set.images[0].annotations[0].area == nil && set.images[0].identifier == "a")
        let causes: [Omissions.Cause] = [
            .unknownImage, .unknownClass, .noGeometry, .outside, .notFinite, .emptyBox, .duplicate,
        ]
        #expect(causes.allSatisfy { set.omissions.count(of: $0) == 1 })
        #expect(set.omissions.count(of: .malformed) == 2)
        #expect(set.remarks.contains { $0.contains("x.json:6 (annotation 1, id 2)") })
        // A file that is none says so in words of its own.
        try write("{\"images\": ", "cut.json")
        let error = #expect(throws: DocumentError.self) {
            try AnnotatedImages.read(self.folder + "/cut.json")
        }
        #expect(error?.flaw == .expected("a value", found: "the end of the file"))
    }

    @Test func runLengthsAreMasks() throws {
        // COCO's characters of the runs 21, 2, 18, 2 of an image of 20 rows.
        try draw("")
        try write(
            """
            {"images": [{"id": 1, "file_name": "one.png", "width": 40, "height": 20}],
             "categories": [{"id": 1, "name": "cat"}], "annotations": [
              {"id": 1, "image_id": 1, "category_id": 1, "segmentation": {"size": [20, 40], "counts": [21, 2, 18, 2, 757]}},
              {"id": 2, "image_id": 1, "category_id": 1, "segmentation": {"size": [20, 40], "counts": "e02b00\\\\g0"}}]}
            """, "x.json")
        let set = try AnnotatedImages.read(folder + "/x.json")
        let first = try #require(set.images[0].annotations.first)
        #expect(first.boundingBox == Box(left: 1, top: 1, right: 3, bottom: 3))
        #expect(first.mask?.area == 4 && first.isReducedToBox)
    }

    // MARK: XML and tables

    private func voc(_ image: Int, path: String = "") -> String {
        let objects = scene[image].boxes.map { box in
            let s = box.sides.map { Int($0) }
            return
                "<object><name>\(box.label)</name><bndbox><xmin>\(s[0] + 1)</xmin><ymax>\(s[1] + s[3])</ymax>"
                + "<ymin>\(s[1] + 1)</ymin><xmax>\(s[0] + s[2])</xmax></bndbox></object>"
        }
        return "<annotation><filename>\(path)\(scene[image].name).png</filename>"
            + "<!-- <object><name>ghost</name></object> -->\(objects.joined())</annotation>"
    }

    @Test(arguments: [
        ("Annotations", "JPEGImages", "xml", String.Encoding.utf8),
        ("annotations", "images", "xml", .utf8), ("train", "train", "xml", .utf8),
        (".", ".", "XML", .utf16), ("labels", "photos", "xml", .utf8),
    ])
    func vocWhereverItLies(
        annotations: String, images: String, ending: String, encoding: String.Encoding
    ) throws {
        try draw(images)
        for index in scene.indices {
            try write(voc(index), "\(annotations)/\(scene[index].name).\(ending)", encoding)
        }
        try expectScene("")
    }

    @Test func cvatHasOneFile() throws {
        try draw("images")
        let images = scene.map { image in
            let boxes = image.boxes.map { box in
                "<box label=\"\(box.label)\" xtl=\"\(box.sides[0])\" ytl=\"\(box.sides[1])\" "
                    + "xbr=\"\(box.sides[0] + box.sides[2])\" ybr=\"\(box.sides[1] + box.sides[3])\"/>"
            }
            return
                "<image name=\"\(image.name).png\" width=\"40\" height=\"20\">\(boxes.joined())</image>"
        }
        try write(
            "<annotations><version>1.1</version>\(images.joined())</annotations>", "annotations.xml"
        )
        try expectScene("")
    }

    @Test func tablesOfBoxes() throws {
        try draw("tf")
        var lines = ["filename, width, height, class, xmin, ymin, xmax, ymax"]
        for image in scene {
            for box in image.boxes {
                let s = box.sides.map { Int($0) }
                lines.append(
                    "\(image.name).png, 40, 20, \(box.label), \(s[0]), \(s[1]), \(s[0] + s[2]), \(s[1] + s[3])"
                )
            }
        }
        try write(lines.joined(separator: "\r\n"), "tf/_annotations.csv")
        try expectScene("/tf")
        try draw("wheat/train")
        try write(
            "image_id;bbox;label\n"
                + scene.flatMap { image in
                    image.boxes.map {
                        "\(image.name);\"[\($0.sides[0]), \($0.sides[1]), \($0.sides[2]), \($0.sides[3])]\";\($0.label)\n"
                    }
                }.joined(), "wheat/train.csv")
        try expectScene("/wheat/train.csv")
        try draw("via")
        let header =
            "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
        try write(
            header
                + scene.flatMap { image in
                    image.boxes.map { box in
                        let s = box.sides.map { Int($0) }
                        let shape =
                            "{\"\"name\"\":\"\"rect\"\",\"\"x\"\":\(s[0]),\"\"y\"\":\(s[1]),\"\"width\"\":\(s[2]),\"\"height\"\":\(s[3])}"
                        return
                            "\(image.name).png,1,\"{}\",2,0,\"\(shape)\",\"{\"\"class\"\":\"\"\(box.label)\"\"}\"\n"
                    }
                }.joined(), "via/via.csv")
        try expectScene("/via/via.csv")
    }

    // MARK: archives and splits

    @Test(arguments: [["-cf", "x.tar"], ["-czf", "x.tar.gz"], ["-cjf", "x.tar.bz2"]])
    func archivesAreUnpacked(options: [String]) throws {
        try draw("set/images")
        try yolo("set/labels")
        try write("train: images\nnames: [cat, dog]\n", "set/data.yaml")
        try write("x", "set/__MACOSX/._one.png")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/tar")
        process.arguments = [options[0], folder + "/" + options[1], "-C", folder, "set"]
        try process.run()
        process.waitUntilExit()
        try expectScene("/" + options[1])
    }

    @Test func theSetsOwnDivisionIsKept() throws {
        for (index, split) in ["train", "valid"].enumerated() {
            try draw("coco/\(split)", only: index)
            var part = coco()
            part["images"] = [(part["images"] as? [Any] ?? [])[index]]
            part["annotations"] = (part["annotations"] as? [[String: Any]] ?? []).filter {
                $0["image_id"] as? Int == index + 1
            }
            try json(part, "coco/\(split)/_annotations.coco.json")
        }
        let coco = try AnnotatedImages.read(folder + "/coco")
        #expect(found(coco) == truth && coco.images.map(\.split) == [.training, .validation])
        try draw("voc/JPEGImages")
        for index in scene.indices {
            try write(voc(index), "voc/Annotations/\(scene[index].name).xml")
        }
        try write("one\r\n", "voc/ImageSets/Main/train.txt")
        try write("one -1\r\n", "voc/ImageSets/Main/cat_train.txt")
        try write("two\r\n", "voc/ImageSets/Main/test.txt")
        try write("one\r\ntwo\r\n", "voc/ImageSets/Main/trainval.txt")
        let voc = try AnnotatedImages.read(folder + "/voc")
        #expect(found(voc) == truth && voc.images.map(\.split) == [.training, .test])
        let photos = try PhotoFolder.open(folder + "/voc")
        #expect(photos.isDivided && photos.evaluated.split == .test)
        #expect(photos.evaluated.photos.items.count == 1 && photos.only(.training).items.count == 1)
    }

    @Test func boxesOfStoredPixelsAreTurned() throws {
        // Two pixels wide and high blocks; EXIF 6: the camera was held upright.
        try write(try #require(Data(base64Encoded: ExportTests.turned)), "phone.jpg")
        let header = try ImageHeader(path: folder + "/phone.jpg")
        #expect(header.orientation == 6 && header.width == 20 && header.height == 40)
        func set(_ width: Int, _ height: Int) throws {
            try write(
                """
                {"images": [{"id": 1, "file_name": "phone.jpg", "width": \(width), "height": \(height)}],
                 "categories": [{"id": 1, "name": "cat"}],
                 "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 2, 10, 8]}]}
                """, "x.json")
        }
        try set(40, 20)
        let stored = try AnnotatedImages.read(folder + "/x.json")
        // Stored (4, 2) to (14, 10) of 40 × 20, turned clockwise.
        #expect(stored.images[0].annotations[0].box == Box(left: 10, top: 4, right: 18, bottom: 14))
        #expect(stored.notes.count == 1)
        try set(20, 40)
        let shown = try AnnotatedImages.read(folder + "/x.json")
        #expect(shown.images[0].annotations[0].box == Box(left: 4, top: 2, right: 14, bottom: 10))
        #expect(shown.notes.isEmpty)
        var reading = PhotoReading()
        reading.boxesOn = .stored
        let asked = try AnnotatedImages.read(folder + "/x.json", reading)
        #expect(asked.images[0].annotations[0].box == Box(left: 10, top: 4, right: 18, bottom: 14))
    }
}
