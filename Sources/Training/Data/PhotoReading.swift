// Opening labelled photos, however they are written down.

import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// How labelled photos are read, where their files leave it open.
public struct PhotoReading: Sendable, Hashable {
    /// What is to be learned; nil is what the files suggest.
    public var task: LearningTask?
    /// The columns of a table that hold labels or numbers; empty is by their names.
    public var columns: [String] = []
    /// Photos are of one group whose names are the same up to this text; empty makes no groups.
    public var groupBefore = ""
    /// Of annotated photos, makes an example of each box instead of one of each photo.
    public var crops = false
    /// Whether the images are only measured on: one class, an empty class and one image are enough then.
    public var isForEvaluation = false

    /// As the files suggest.
    public init(task: LearningTask? = nil) { self.task = task }
}

extension PhotoFolder {
    /// Labelled photos at `path`:
    /// - a folder with one folder of photos per class, or with `metadata.csv` or `metadata.jsonl`
    ///   (image-folder data sets of the Hub), or with `Annotations/*.xml` (Pascal VOC);
    /// - a table (`.csv`, `.jsonl`); COCO's `.json`; YOLO's `.yaml`; an archive of photos (`.tar`).
    ///
    /// - Throws: `PhotoFolderError`, `PhotoTableError`, `AnnotationError` or `FileError`.
    public static func open(_ path: String, _ reading: PhotoReading = PhotoReading()) throws
        -> PhotoFolder
    {
        // Embeddings are learned from classes.
        var reading = reading
        if reading.task == .embedding { reading.task = .classification }
        // Photos are divided by what they show.
        if reading.task == .detection { reading.task = .multiLabel }
        let ending = path.split(separator: "/").last?.split(separator: ".").last?.lowercased()
        var photos: PhotoFolder
        guard isTable(path) || reading.columns.isEmpty else { throw PhotoFolderError.noTable(path) }
        switch ending {
        case "csv", "jsonl": photos = try table(path, reading)
        case "json": photos = try COCO.read(path).photos(path, reading)
        case "yaml", "yml": photos = try YOLO.read(path).photos(path, reading)
        case "tar": photos = try archive(path, reading)
        default:
            if let table = ["metadata.csv", "metadata.jsonl"].map({ path + "/" + $0 })
                .first(where: { access($0, F_OK) == 0 })
            {
                photos = try self.table(table, reading)
            } else if access(path + "/Annotations", F_OK) == 0 {
                photos = try VOC.read(path).photos(path, reading)
            } else {
                photos = try scan(path, reading)
            }
        }
        if let task = reading.task, task != photos.task {
            throw PhotoFolderError.otherTask(path, expected: task, found: photos.task)
        }
        return photos.grouped(reading.groupBefore)
    }

    /// Whether labels at `path` stand in the columns of a table.
    package static func isTable(_ path: String) -> Bool {
        let ending = path.split(separator: "/").last?.split(separator: ".").last?.lowercased()
        return ["csv", "jsonl"].contains(ending)
            || ["metadata.csv", "metadata.jsonl"].contains { access(path + "/" + $0, F_OK) == 0 }
    }

    /// Photos whose names begin alike, up to `separator`, as groups.
    private func grouped(_ separator: String) -> PhotoFolder {
        guard !separator.isEmpty else { return self }
        let items = items.map { item in
            var item = item
            let name = item.relativePath.split(separator: "/").last ?? ""
            item.group = String(name.split(separator: separator, maxSplits: 1).first ?? name)
            return item
        }
        var result = PhotoFolder(path: path, classes: classes, items: items, task: task)
        result.remarks = remarks
        return result
    }

    /// The halves of a data set that comes divided: a folder of nothing but `train` and one of
    /// `validation`, `val`, `valid`, `dev` or `test`; nil for others.
    public static func halves(_ path: String) -> (training: String, validation: String)? {
        guard let names = try? entries(of: path), names.contains("train") else { return nil }
        let known = ["validation", "val", "valid", "dev", "test"]
        let folders = names.filter { isFolder(path + "/" + $0) }
        guard folders.allSatisfy({ $0 == "train" || known.contains($0) }),
            let held = known.first(where: folders.contains)
        else { return nil }
        return (path + "/train", path + "/" + held)
    }
}
