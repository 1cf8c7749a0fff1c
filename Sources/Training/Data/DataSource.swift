// What a path to a data set is: which reader its files are for. Looked at once, by names and first bytes.

import GraftFormats
import GraftImages
public import GraftTensors

/// A data set by the files that describe it.
enum DataSource {
    /// Folders of images, a folder for each class.
    case classFolders(String)
    /// A tar archive of images in class folders, or with the text of its class beside each.
    case tar(String)
    /// Parquet files with the bytes of the images.
    case parquet(String)
    /// Tables, each of a split or of none.
    case tables([(path: String, split: DataSplit?)])
    case yolo(settings: String)
    case yoloNames(file: String, folder: String)
    case voc(folder: String, files: [String])
    /// Texts of DOTA or KITTI, and a `data.yaml` that lists their classes.
    case imageTexts(ImageTexts.Kind, folder: String, settings: String?)
    /// A folder of images and one of masks with the same names.
    case masks(String)
    /// JSON files with a list of images each.
    case json([(path: String, split: DataSplit?)])
    /// JSON files of LabelMe or Supervisely, one for each image.
    case imageJSON(folder: String, files: [String])

    private static let wrapperLimit = 6
    private static let sampleLimit = 20

    /// Finds out what is at `path`; archives are unpacked.
    static func find(_ path: String, _ reading: PhotoReading) throws -> DataSource {
        DataArchive.removeAbandoned()
        if PhotoFolder.isFolder(path) { return try inFolder(path, reading, depth: 0) }
        if DataArchive.matches(path) {
            if try DataArchive.isTar(path), try isPlainTar(path) { return .tar(path) }
            return try inFolder(DataArchive.folder(of: path), reading, depth: 0)
        }
        if try ParquetSet.isFile(path) { return .parquet(path) }
        let ending = fileExtension(path)
        switch ending {
        case "json", "geojson": return try json(path)
        case "yaml", "yml": return .yolo(settings: path)
        case "xml": return .voc(folder: folder(of: path), files: [fileName(path)])
        case "data": return try darknet(path)
        case "names": return .yoloNames(file: path, folder: folder(of: path))
        case "txt" where ["classes.txt", "labels.txt"].contains(fileName(path).lowercased()):
            return .yoloNames(file: path, folder: folder(of: path))
        case _ where TextTable.extensions.contains(ending) || ending == "txt":
            return .tables([(path, nil)])
        default: break
        }
        switch try ContentKind.of(path: path) {
        case .json: return try json(path)
        case .xml: return .voc(folder: folder(of: path), files: [fileName(path)])
        case .text where UnreadSet.find(file: path) == nil: return .tables([(path, nil)])
        default:
            guard let set = UnreadSet.find(file: path) else {
                throw PhotoFolderError.notAFolder(path)
            }
            throw DataSetError.unread(path, set)
        }
    }

    /// Whether a tar archive holds nothing but images and texts of their classes; links are followed where
    /// it is unpacked.
    private static func isPlainTar(_ path: String) throws -> Bool {
        let described = ["json", "jsonl", "yaml", "yml", "xml", "csv", "tsv", "names", "txt"]
        guard try TarArchive.linkCount(path) == 0 else { return false }
        return try !TarArchive.members(path).contains { member in
            !member.name.split(separator: "/").contains { FolderListing.isSystem(String($0)) }
                && described.contains(fileExtension(member.name))
        }
    }

    private static func json(_ path: String) throws -> DataSource {
        let tree = try JSONTree.read(path)
        switch JSONExport.kind(tree) {
        case let kind? where kind.isPerImage:
            return .imageJSON(folder: folder(of: path), files: [fileName(path)])
        case .some: return .json([(path, nil)])
        case nil: throw DataSetError.unknownJSON(path, found: outline(tree))
        }
    }

    /// The keys of a JSON value, for an error.
    private static func outline(_ tree: JSONTree) -> String {
        func keys(_ object: JSONObject) -> String {
            let names = object.members.prefix(6).map { "`\($0.key)`" }.joined(separator: ", ")
            return "an object with \(names.isEmpty ? "nothing in it" : names)"
        }
        if let object = tree.object { return keys(object) }
        guard let list = tree.list else { return "a single value" }
        return list.first?.object.map { "a list of \(keys($0))" }
            ?? "a list of \(list.count) values"
    }

    /// Darknet's `obj.data`: `names = data/obj.names`.
    private static func darknet(_ path: String) throws -> DataSource {
        let base = folder(of: path)
        for (_, line) in try TextBytes(path: path).lines {
            let parts = line.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, parts[0].trimmedText == "names" else { continue }
            let name = parts[1].trimmedText
            for file in [join(base, name), join(base, fileName(name))]
            where PhotoFolder.isFile(file) {
                return .yoloNames(file: file, folder: base.isEmpty ? "." : base)
            }
        }
        throw AnnotationError.malformed(
            path, format: "darknet", reason: "expected `names = FILE` with a file that is there")
    }
}

extension DataSource {
    /// What a folder holds, looked for from the surest sign to class folders.
    private static func inFolder(_ path: String, _ reading: PhotoReading, depth: Int) throws
        -> DataSource
    {
        let names = try FolderListing.names(in: path)
        let files = names.filter { PhotoFolder.isFile(path + "/" + $0) }
        let folders = names.filter { PhotoFolder.isFolder(path + "/" + $0) }
        func full(_ name: String) -> String { path + "/" + name }
        if reading.classesAreFolders { return .classFolders(path) }
        for name in ["metadata.csv", "metadata.jsonl"] where files.contains(name) {
            return .tables([(full(name), nil)])
        }
        if ParquetSet.isFolder(path) { return .parquet(path) }
        if MaskFolder.matches(folders, in: path) { return .masks(path) }
        for name in files where ["yaml", "yml"].contains(fileExtension(name)) {
            guard isSettings(full(name)) else { continue }
            let isDOTA = ([""] + folders).contains {
                PhotoFolder.isFolder(full($0) + "/" + ImageTexts.Kind.dota.texts)
            }
            return isDOTA
                ? .imageTexts(.dota, folder: path, settings: full(name))
                : .yolo(settings: full(name))
        }
        if let found = try classLists(path, files, folders) { return found }
        if let found = jsonFiles(path, files, folders) { return found }
        let listing = try FolderListing(path, links: reading.links)
        if let kind = ImageTexts.kind(of: listing.files) {
            return .imageTexts(kind, folder: path, settings: nil)
        }
        if let found = imageJSON(path, listing) ?? xml(path, listing) { return found }
        let tables = tables(path, files, folders)
        if !tables.isEmpty, !hasClasses(path, reading) { return .tables(tables) }
        let hasImages = files.contains { ContentKind.hasReadableExtension($0) }
        if folders.count == 1, !hasImages, depth < wrapperLimit, tables.isEmpty {
            let inner = try inFolder(full(folders[0]), reading, depth: depth + 1)
            guard case .classFolders = inner else { return inner }
        }
        if let set = UnreadSet.find(listing) { throw DataSetError.unread(path, set) }
        return .classFolders(path)
    }

    private static func isSettings(_ path: String) -> Bool {
        guard let tree = try? YAMLTree.read(path) else {
            // One that looks like it is read, so that its fault is told.
            return ["data", "dataset"].contains(stem(fileName(path)).lowercased())
        }
        guard tree["names"] != nil || tree["nc"] != nil else { return false }
        return ["train", "val", "test"].contains { tree[$0] != nil }
            || PhotoFolder.isFolder(folder(of: path) + "/labels")
    }

    /// Whether a folder has texts that are called as images of it, as YOLO's are.
    private static func hasTexts(_ path: String) -> Bool {
        let files = (try? FolderListing(path).files) ?? []
        let images = Set(
            files.filter { ContentKind.hasReadableExtension($0) }.map { stem(fileName($0)) })
        return files.contains { fileExtension($0) == "txt" && images.contains(stem(fileName($0))) }
    }

    /// A list of names of classes with YOLO's texts: `obj.names`, `classes.txt`, `_darknet.labels`.
    private static func classLists(_ path: String, _ files: [String], _ folders: [String]) throws
        -> DataSource?
    {
        func full(_ name: String) -> String { path + "/" + name }
        if let data = files.first(where: { fileExtension($0) == "data" }),
            let found = try? darknet(full(data))
        {
            return found
        }
        let lists = ["obj.names", "classes.txt", "classes.names", "predefined_classes.txt"]
        let here =
            lists.first(where: files.contains) ?? files.first { fileExtension($0) == "names" }
        if let here {
            return hasTexts(path) ? .yoloNames(file: full(here), folder: path) : nil
        }
        for folder in folders {
            for list in ["_darknet.labels"] + lists
            where PhotoFolder.isFile(full(folder + "/" + list)) {
                return hasTexts(path)
                    ? .yoloNames(file: full(folder + "/" + list), folder: path) : nil
            }
        }
        return nil
    }

    /// Files of COCO, Create ML, Label Studio and VIA: here, in `annotations`, or in folders of splits.
    private static func jsonFiles(_ path: String, _ files: [String], _ folders: [String])
        -> DataSource?
    {
        var found = files.filter { fileExtension($0) == "json" }
        for folder in folders
        where folder.lowercased().hasPrefix("annotation") || folder.lowercased() == "labels"
            || DataSplit(naming: folder) != nil
        {
            let inner = (try? FolderListing.names(in: path + "/" + folder)) ?? []
            found += inner.filter { fileExtension($0) == "json" }.map { folder + "/" + $0 }
        }
        // Of what COCO publishes, the boxes: captions and keypoints are of the same images.
        let instances = found.filter { fileName($0).hasPrefix("instances_") }
        if !instances.isEmpty { found = instances }
        guard !found.isEmpty, found.count <= sampleLimit else { return nil }
        let kinds = found.compactMap { name -> (String, JSONExport.Kind)? in
            guard let tree = try? JSONTree.read(path + "/" + name) else { return nil }
            return JSONExport.kind(tree).map { (name, $0) }
        }
        let wanted = kinds.filter { !$0.1.isPerImage }.map(\.0)
        guard !wanted.isEmpty else { return nil }
        return .json(
            wanted.map { name in
                let folder = name.split(separator: "/").dropLast().last
                let split =
                    folder.flatMap { DataSplit(naming: $0) }
                    ?? DataSplit(naming: stem(fileName(name)))
                return (path + "/" + name, split)
            })
    }

    private static func imageJSON(_ path: String, _ listing: FolderListing) -> DataSource? {
        let files = listing.files.filter { fileExtension($0) == "json" }
        let isPerImage = files.prefix(sampleLimit).contains { name in
            (try? JSONTree.read(path + "/" + name)).flatMap(JSONExport.kind)?.isPerImage ?? false
        }
        return isPerImage ? .imageJSON(folder: path, files: files) : nil
    }

    /// XML files of annotations anywhere below, or those in `Annotations` alone where that is.
    private static func xml(_ path: String, _ listing: FolderListing) -> DataSource? {
        var files = listing.files.filter { fileExtension($0) == "xml" }
        let own = files.filter { $0.hasPrefix("Annotations/") }
        if !own.isEmpty { files = own }
        let isAnnotation = files.prefix(sampleLimit).contains { name in
            guard let bytes = try? TextBytes(path: path + "/" + name) else { return false }
            return bytes.text.prefix(4_096).contains("<annotation")
        }
        guard isAnnotation else {
            let isVOC =
                PhotoFolder.isFolder(path + "/Annotations")
                && PhotoFolder.isFolder(path + "/JPEGImages")
            return isVOC ? .voc(folder: path, files: files) : nil
        }
        return .voc(folder: path, files: files)
    }

    /// The tables beside folders of images, or one in each folder of a split.
    private static func tables(_ path: String, _ files: [String], _ folders: [String])
        -> [(path: String, split: DataSplit?)]
    {
        func usable(_ names: [String]) -> [String] {
            names.filter { name in
                let lower = name.lowercased()
                return TextTable.extensions.contains(fileExtension(name))
                    && !lower.contains("submission") && !lower.hasPrefix("test")
            }
        }
        var divided: [(path: String, split: DataSplit?)] = []
        for folder in folders {
            guard let split = DataSplit(naming: folder) else { continue }
            let names = ((try? FolderListing.names(in: path + "/" + folder)) ?? []).filter {
                TextTable.extensions.contains(fileExtension($0))
            }
            let known = ["metadata.csv", "metadata.jsonl", "_annotations.csv", "_classes.csv"]
            if let table = known.first(where: names.contains) ?? (names.count == 1 ? names[0] : nil)
            {
                divided.append((path + "/" + folder + "/" + table, split))
            }
        }
        if !divided.isEmpty { return divided }
        let here = usable(files)
        // `train.csv` and `val.csv`, and `test.csv` if it has the labels too.
        let titles = { (name: String) in
            (try? TextTable.titles(of: path + "/" + name)) ?? []
        }
        var candidates = files
        for folder in folders where folder.lowercased().hasPrefix("annotation") {
            candidates += ((try? FolderListing.names(in: path + "/" + folder)) ?? [])
                .map { folder + "/" + $0 }
        }
        candidates = candidates.filter { TextTable.extensions.contains(fileExtension($0)) }
        // Of Open Images' tables, those of boxes.
        let boxes = candidates.filter { fileName($0).contains("bbox") }
        if !boxes.isEmpty { candidates = boxes }
        let parts = candidates.compactMap { name in
            DataSplit(naming: fileName(stem(name))).map { (name: name, split: $0) }
        }
        if let training = parts.first(where: { $0.split == .training }),
            Set(parts.map(\.split)).count == parts.count, parts.count > 1
        {
            let wanted = titles(training.name)
            let same = parts.filter { titles($0.name) == wanted }
            if same.count > 1 { return same.map { (path + "/" + $0.name, $0.split) } }
        }
        let order = [
            "labels", "train", "annotations", "_annotations", "_classes", "metadata", "data",
        ]
        let first =
            order.lazy.compactMap { name in
                here.first { stem($0).lowercased().hasPrefix(name) }
            }.first ?? (here.count == 1 ? here[0] : nil)
        return first.map { [(path + "/" + $0, nil)] } ?? []
    }

    /// Whether a folder is one of class folders, so that a table beside them is of something else.
    private static func hasClasses(_ path: String, _ reading: PhotoReading) -> Bool {
        guard reading.columnRoles.isEmpty, reading.columns.isEmpty,
            let photos = try? PhotoFolder.scan(path, reading)
        else { return false }
        return photos.classes.count > 1
    }
}

/// A data set of a kind that is not read.
public enum DataSetError: Diagnostic, Equatable {
    /// A JSON file of none of the known tools.
    case unknownJSON(String, found: String)
    /// Parts of a set that are of different kinds.
    case mixedParts(String)
    /// Files of another format.
    case unread(String, UnreadSet)

    /// What happened.
    public var message: String {
        switch self {
        case .unknownJSON(let path, let found):
            "expected COCO, Create ML, Datumaro, Label Studio, LabelMe, Supervisely, VIA or VoTT annotations in `\(path)`, found \(found)"
        case .mixedParts(let path):
            "the splits of `\(path)` are labelled in different ways"
        case .unread(let path, let set):
            set.sign.isEmpty
                ? "`\(path)` \(set.format)" : "`\(path)/\(set.sign)` \(set.format)"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .unknownJSON: "a file of detections is compared with annotations by `graft boxes`"
        case .mixedParts: "read one split at a time, with --validation for the other"
        case .unread(_, let set): set.advice
        }
    }
}
