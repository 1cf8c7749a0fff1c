// Opening a data set: the reader is chosen by what the file or folder looks like, and its splits joined.

import GraftFormats
import GraftImages
import GraftTensors

extension AnnotatedImages {
    /// Reads the annotations at `path`: YOLO, COCO, Pascal VOC, CVAT, Label Studio, LabelMe, VIA,
    /// Create ML, tables with boxes, and folders and archives of these. Class folders and tables of
    /// labels become annotations of whole images.
    ///
    /// - Throws: ``AnnotationError``, ``PhotoFolderError``, ``PhotoTableError``, ``DataSetError``,
    ///   `DocumentError`, `FormatError` or `FileError`.
    public static func read(_ path: String, _ reading: PhotoReading = PhotoReading()) throws
        -> AnnotatedImages
    {
        switch try OpenedData(path, reading) {
        case .annotated(let images): images
        case .labelled(let photos): AnnotatedImages(photos)
        }
    }

    /// Labelled images as annotations of whole images; numbers have none.
    init(_ photos: PhotoFolder) {
        self.init()
        format = "images"
        let isValues = photos.labelling == .values
        classes = isValues ? [] : photos.classes
        valueNames = isValues ? photos.classes : []
        notes = photos.notes
        images = photos.items.map { item in
            var image = AnnotatedImage(path: item.path, name: item.relativePath)
            (image.range, image.split, image.group) = (item.range, item.split, item.group)
            image.embedded = item.embedded
            if isValues { image.values = item.targets }
            let labels: [Int] =
                switch photos.labelling {
                case .oneClass: [item.classIndex]
                case .labels: item.targets.indices.filter { item.targets[$0] > 0 }
                case .values: []
                }
            image.annotations = labels.map { Annotation(label: photos.classes[$0], box: item.box) }
            return image
        }
    }

    /// The annotations at `path`, and the same set as examples to learn from; read once.
    package static func opened(_ path: String, _ reading: PhotoReading) throws
        -> (annotated: AnnotatedImages, photos: PhotoFolder)
    {
        switch try OpenedData(path, reading) {
        case .annotated(let images): (images, try images.photos(path, reading))
        case .labelled(let photos): (AnnotatedImages(photos), photos)
        }
    }

    /// One set of several parts.
    init(joining parts: [AnnotatedImages], root: String) {
        self = parts.first ?? AnnotatedImages()
        let lists = parts.map(\.classes)
        if lists.contains(where: { $0 != classes }) { classes = sortedNames(lists.flatMap { $0 }) }
        for part in parts.dropFirst() {
            images += part.images
            omissions.add(part.omissions)
            notes += part.notes.filter { !notes.contains($0) }
            categories.merge(part.categories) { first, _ in first }
            keypointNames.merge(part.keypointNames) { first, _ in first }
        }
        guard Set(images.map(\.name)).count < images.count else { return }
        // Two splits may have an image of the same name each.
        let base = normalized(root)
        for index in images.indices {
            let full = normalized(images[index].path)
            images[index].name =
                full.hasPrefix(base + "/") ? String(full.dropFirst(base.count + 1)) : full
        }
    }
}

/// A data set after reading: annotated, or with labels of whole images.
enum OpenedData {
    case annotated(AnnotatedImages)
    case labelled(PhotoFolder)

    init(_ path: String, _ reading: PhotoReading) throws {
        switch try DataSource.find(path, reading) {
        case .classFolders(let folder): self = .labelled(try PhotoFolder.scan(folder, reading))
        case .tar(let file): self = .labelled(try PhotoFolder.archive(file))
        case .parquet(let path):
            let set = try ParquetSet.read(path, reading)
            let hasBoxes = set.images.contains { $0.annotations.contains { !$0.isWholeImage } }
            self =
                try hasBoxes ? .annotated(set) : .labelled(PhotoFolder(labels: set, path, reading))
        case .yolo(let settings): self = .annotated(try YOLO.read(settings, reading))
        case .yoloNames(let file, let folder):
            self = .annotated(try YOLO.read(names: file, folder: folder, reading))
        case .imageTexts(let kind, let folder, let settings):
            self = .annotated(try ImageTexts.read(folder, as: kind, settings: settings, reading))
        case .voc(let folder, let files):
            self = .annotated(try VOC.read(folder, files: files, reading))
        case .masks(let folder): self = .annotated(try MaskFolder.read(folder))
        case .imageJSON(let folder, let files):
            self = .annotated(try Self.imageJSON(folder, files, reading))
        case .json(let files):
            let parts = try files.map { try Self.json($0.path, $0.split, reading) }
            self = .annotated(Self.joined(parts, files.map(\.split), root: path))
        case .tables(let files): self = try Self.tables(files, path, reading)
        }
    }

    private static func joined(
        _ parts: [AnnotatedImages], _ splits: [DataSplit?], root: String
    ) -> AnnotatedImages {
        var result = parts.count == 1 ? parts[0] : AnnotatedImages(joining: parts, root: root)
        // One part divides nothing, whatever it is called.
        if Set(result.images.map(\.split)).count == 1 {
            for index in result.images.indices { result.images[index].split = nil }
        }
        return result
    }

    private static func json(_ path: String, _ split: DataSplit?, _ reading: PhotoReading) throws
        -> AnnotatedImages
    {
        let tree = try JSONTree.read(path)
        // A file alone may be one of several beside it: its images are looked for by its name.
        let named = split ?? DataSplit(naming: stem(fileName(path)))
        guard let kind = JSONExport.kind(tree) else { return AnnotatedImages() }
        if kind == .coco { return try COCO.read(tree, path: path, split: named, reading) }
        var set = JSONSet(kind, path: path, split: named, reading)
        switch kind {
        case .createML: set.readCreateML(tree)
        case .labelStudio: set.readLabelStudio(tree)
        case .via: set.readVIA(tree)
        case .datumaro: set.readDatumaro(tree)
        case .vott: set.readVoTT(tree)
        case .labelMe: set.readLabelMe(tree, file: path)
        case .supervisely: set.readSupervisely(tree, file: path)
        case .coco: break
        }
        return set.finished(reading)
    }

    private static func imageJSON(
        _ folder: String, _ files: [String], _ reading: PhotoReading
    ) throws -> AnnotatedImages {
        var set = JSONSet(.labelMe, path: join(folder, "x.json"), split: nil, reading)
        for name in files {
            let file = join(folder, name)
            do {
                let tree = try JSONTree.read(file)
                switch JSONExport.kind(tree) {
                case .supervisely:
                    set.draft.set.format = JSONExport.Kind.supervisely.rawValue
                    set.readSupervisely(tree, file: file)
                // What describes the set as a whole.
                case nil
                where ["meta.json", "obj_class_to_machine_color.json"].contains(fileName(name)):
                    continue
                default: set.readLabelMe(tree, file: file)
                }
            } catch let error as DocumentError {
                set.leaveOut(
                    .malformed, AnnotationPlace(file: file, line: error.line), error.message)
            }
        }
        for index in set.draft.entries.indices {
            let folders = set.draft.entries[index].image.name.split(separator: "/").dropLast()
            set.draft.entries[index].image.split =
                folders.lazy.compactMap { DataSplit(naming: $0) }.first
        }
        return joined([set.finished(reading)], [nil], root: folder)
    }

    private static func tables(
        _ files: [(path: String, split: DataSplit?)], _ path: String, _ reading: PhotoReading
    ) throws -> OpenedData {
        guard files.count > 1 else { return try table(files[0].path, reading) }
        var annotated: [AnnotatedImages] = []
        var labelled: [PhotoFolder] = []
        for (file, split) in files {
            switch try table(file, reading) {
            case .annotated(var images):
                for index in images.images.indices { images.images[index].split = split }
                annotated.append(images)
            case .labelled(var photos):
                let base = GraftTraining.folder(of: file)
                photos = photos.moved(into: fileName(base), split: split)
                labelled.append(photos)
            }
        }
        guard annotated.isEmpty || labelled.isEmpty else { throw DataSetError.mixedParts(path) }
        if labelled.isEmpty { return .annotated(joined(annotated, files.map(\.split), root: path)) }
        return .labelled(try PhotoFolder(joining: labelled, path: path))
    }

    private static func table(_ file: String, _ reading: PhotoReading) throws -> OpenedData {
        let table = try TextTable(file, reading)
        guard !table.rows.isEmpty else {
            throw PhotoTableError.noRows(file, reason: table.omissions.lines.first)
        }
        let columns = try TableColumns(table, reading)
        if let boxes = try BoxTable(table, columns, reading) { return .annotated(boxes.read()) }
        return .labelled(try PhotoFolder.table(file, reading))
    }
}
