// The readers of labelled photos, and of what the caches keep about files.

import GraftCache
import GraftTraining

@testable import GraftHub

extension Parser {
    static let tables: [Parser] = [
        table("csv", "x.csv"), table("jsonl", "x.jsonl"), table("coco", "x.json"),
        table("photo-tar", "photos.tar"),
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
        Parser(name: "tree", seeds: []) { bytes, bench in
            _ = TreeListing.read(try bench.file("x.json", bytes))
        },
        Parser(name: "journal", seeds: []) { bytes, bench in
            _ = Journal.read(try bench.file("x.journal", bytes))
        },
    ]

    private static func table(_ name: String, _ file: String) -> Parser {
        Parser(name: name, seeds: []) { try labelled(file, $0, $1) }
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
