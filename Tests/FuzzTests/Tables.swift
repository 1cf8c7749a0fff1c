// The readers of labelled photos, and of what the caches keep about files.

import Foundation
import GraftFormats
import GraftTraining

@testable import GraftCache
@testable import GraftHub

extension Parser {
    static let tables: [Parser] = [
        table("csv", "x.csv"), table("jsonl", "x.jsonl"), table("coco", "x.json"),
        table("photo-tar", "photos.tar"), table("parquet-set", "x.parquet"),
        Parser(name: "yolo", seeds: []) { bytes, bench in
            try photo("images/a.png", bench)
            try labelled("x.yaml", bytes, bench)
        },
        Parser(name: "yolo-labels", seeds: []) { bytes, bench in
            try photo("images/a.png", bench)
            _ = try bench.file("labels/a.txt", bytes)
            try labelled("x.yaml", Array("train: images\nnames: [a, b]\n".utf8), bench)
        },
        Parser(name: "voc", seeds: []) { bytes, bench in
            try photo("voc/JPEGImages/a.png", bench)
            _ = try bench.file("voc/Annotations/a.xml", bytes)
            try open(bench.folder + "/voc")
        },
        text("dota", beside: "images", in: "labelTxt"),
        text("kitti", beside: "image_2", in: "label_2"),
        // Lists of boxes without names of columns.
        Parser(name: "headless", seeds: []) { bytes, bench in
            try photo("headless/a.png", bench)
            try labelled("headless/x.csv", bytes, bench)
        },
        Parser(name: "yaml", seeds: []) { bytes, bench in
            _ = try YAMLTree.read(bench.file("x.yaml", bytes))
        },
        Parser(name: "xml", seeds: []) { bytes, bench in
            _ = try XMLElement.read(bench.file("x.xml", bytes))
        },
        Parser(name: "json-tree", seeds: []) { bytes, bench in
            _ = try JSONTree.read(bench.file("x.json", bytes))
        },
        Parser(name: "delimited", seeds: []) { bytes, bench in
            _ = try DelimitedText(TextBytes(path: bench.file("x.csv", bytes)).text, path: "x.csv")
        },
        // Create ML, LabelMe, VIA, VoTT and Label Studio are told apart by what is in the file.
        Parser(name: "labels-json", seeds: []) { bytes, bench in
            try photo("a.png", bench)
            try labelled("x.json", bytes, bench)
        },
        Parser(name: "cvat", seeds: []) { bytes, bench in
            try photo("cvat/a.png", bench)
            try labelled("cvat/annotations.xml", bytes, bench)
        },
        Parser(name: "box-table", seeds: []) { bytes, bench in
            try photo("a.png", bench)
            try labelled("x.tsv", bytes, bench)
        },
        Parser(name: "data-zip", seeds: []) { bytes, bench in
            let folder = bench.folder + "/unpacked"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try ArchiveFiles.unpack(
                bench.file("x.zip", bytes), into: folder, limit: 1 << 20, where: { _ in true })
        },
        Parser(name: "tree", seeds: []) { bytes, bench in
            _ = TreeListing.read(try bench.file("x.json", bytes))
        },
        Parser(name: "journal", seeds: []) { bytes, bench in
            _ = Journal.read(try bench.file("x.journal", bytes))
        },
        Parser(name: "upload-journal", seeds: []) { bytes, bench in
            let path = try bench.file("x.json", bytes)
            _ = UploadJournal.read(path, byteCount: 3_000_000)?.etags.count
        },
        Parser(name: "link-header", seeds: []) { bytes, _ in
            var head = Head()
            bytes.withUnsafeBytes { head.readLine($0) }
            for field in head.links { _ = LinkHeader.links(field) }
        },
        Parser(name: "lock-file", seeds: []) { bytes, bench in
            let lock = try LockFile(reading: bench.file("graft.lock", bytes))
            for (_, locked) in lock.references { _ = locked.tree.byteCount }
            try lock.write(to: bench.folder + "/again.lock")
        },
        Parser(name: "bundle", seeds: []) { bytes, _ in
            let manifest = try BundleManifest(bytes, of: "x.tar.zst")
            _ = manifest.contents.map(\.byteCount).clampedSum
        },
        Parser(name: "listing-page", seeds: []) { bytes, _ in
            guard let name = HubName(.model, "a/b") else { return }
            let location = try Location("https://example.org/")
            var pages = TreePages(name)
            try pages.add(bytes, of: location)
            _ = try pages.listing(location, siblings: []).byteCount
        },
        Parser(name: "impostor", seeds: []) { bytes, _ in
            for name in ["w.bin", "x"] {
                try Impostor.check(
                    bytes, byteCount: bytes.count, name: name, contentType: nil, isListed: false)
            }
        },
        Parser(name: "secrets", seeds: []) { bytes, _ in
            let masked = Secrets.masked(String(decoding: bytes, as: UTF8.self))
            _ = Secrets.withoutUser(masked)
        },
    ]

    private static func table(_ name: String, _ file: String) -> Parser {
        Parser(name: name, seeds: []) { try labelled(file, $0, $1) }
    }

    /// A text of boxes for an image, each in a folder by its format's name.
    private static func text(_ name: String, beside images: String, in texts: String) -> Parser {
        Parser(name: name, seeds: []) { bytes, bench in
            try photo("\(name)/\(images)/a.png", bench)
            _ = try bench.file("\(name)/\(texts)/a.txt", bytes)
            try open("\(bench.folder)/\(name)")
        }
    }

    private static func photo(_ name: String, _ bench: Workbench) throws {
        _ = try bench.file(name, Corpus.fixture("images/plain.png"))
    }

    private static func labelled(_ name: String, _ bytes: [UInt8], _ bench: Workbench) throws {
        try open(bench.file(name, bytes))
    }

    private static func open(_ path: String) throws {
        _ = try PhotoFolder.open(path)
        var crops = PhotoReading()
        crops.crops = true
        _ = try PhotoFolder.open(path, crops)
    }
}
