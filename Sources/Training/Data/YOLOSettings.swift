// A YOLO `data.yaml`: the names of the classes by number, and the images of each split.

import GraftFormats
import GraftTensors

/// What a `data.yaml` says.
struct YOLOSettings {
    var names: [String] = []
    var root: String?
    /// The folders, lists or patterns of each split, training first.
    var splits: [(split: DataSplit, sources: [String])] = []
    var keypoints: (count: Int, numbers: Int)?

    /// Class numbers beyond this are no numbers of classes.
    private static let classLimit = 100_000

    init(_ tree: YAMLTree, path: String) throws {
        func malformed(_ reason: String) -> AnnotationError {
            .malformed(path, format: "YOLO", reason: reason)
        }
        guard case .map(let entries) = tree else {
            throw malformed("expected `names` and `train`")
        }
        let count = tree["nc"]?.text.flatMap { Int($0) }
        switch tree["names"] {
        case .list(let values):
            names = values.map { $0.text ?? "" }
        case .map(let pairs):
            for pair in pairs {
                guard let number = Int(pair.key), (0..<Self.classLimit).contains(number) else {
                    throw malformed("expected numbers in `names`, found `\(pair.key)`")
                }
                while names.count <= number { names.append("\(names.count)") }
                names[number] = pair.value.text ?? "\(number)"
            }
        case .text(let text):
            // `names: obj.names`, a file of names.
            let file = text.hasPrefix("/") ? text : folder(of: path) + "/" + text
            guard PhotoFolder.isFile(file) else {
                throw malformed("expected a list in `names`, found `\(text)`")
            }
            names = try TextBytes(path: file).lines.map { $0.text.trimmedText }
                .filter { !$0.isEmpty }
        default:
            guard let count, (1..<Self.classLimit).contains(count) else {
                throw malformed("expected `names` and `train`")
            }
            names = (0..<count).map { "class\($0)" }
        }
        guard !names.isEmpty else { throw malformed("expected classes in `names`, found none") }
        if let count, count != names.count {
            throw malformed("`nc` is \(count), but `names` has \(names.count) classes")
        }
        root = tree["path"]?.text
        for entry in entries {
            guard let split = Self.keys[entry.key.lowercased()], let sources = entry.value.texts
            else {
                continue
            }
            splits.append((split, sources))
        }
        splits.sort { Self.order($0.split) < Self.order($1.split) }
        // Some programs list the classes alone, beside `images` and `labels`.
        guard !splits.isEmpty || PhotoFolder.isFolder(join(folder(of: path), "labels")) else {
            throw malformed("expected `names` and `train`")
        }
        if case .list(let shape) = tree["kpt_shape"], shape.count == 2,
            let count = shape[0].text.flatMap({ Int($0) }), (1...1_000).contains(count),
            let numbers = shape[1].text.flatMap({ Int($0) }), (2...3).contains(numbers)
        {
            keypoints = (count, numbers)
        }
    }

    private static let keys: [String: DataSplit] = [
        "train": .training, "val": .validation, "valid": .validation, "validation": .validation,
        "test": .test,
    ]

    private static func order(_ split: DataSplit) -> Int {
        DataSplit.allCases.firstIndex(of: split) ?? 0
    }
}

/// Where the images of a `data.yaml` are, whichever machine wrote its paths.
struct YOLOPlaces {
    /// A folder of images, or a text with one path a line.
    enum Source {
        case folder(String)
        case list(String)

        var path: String {
            switch self {
            case .folder(let path), .list(let path): normalized(path)
            }
        }
    }

    let settings: YOLOSettings
    let folder: String
    let reading: PhotoReading

    init(settings: YOLOSettings, folder: String, _ reading: PhotoReading) {
        self.settings = settings
        self.folder = folder.isEmpty ? "." : folder
        self.reading = reading
    }

    /// The images that a value of `train`, `val` or `test` names; nil if nothing is there.
    func source(of value: String) -> Source? {
        var name = value.split(separator: "\\").joined(separator: "/")
        while name.count > 1, name.hasSuffix("/") { name.removeLast() }
        // `images/*.jpg` is the folder.
        if let star = name.firstIndex(of: "*") {
            name = String(name[..<star])
            while name.hasSuffix("/") { name.removeLast() }
        }
        for path in candidates(name) {
            if PhotoFolder.isFile(path), fileExtension(path) == "txt" { return .list(path) }
            guard PhotoFolder.isFolder(path) else { continue }
            // `train` beside `train/labels` names the folder above the images.
            let inner = path + "/images"
            return .folder(PhotoFolder.isFolder(inner) ? inner : path)
        }
        return nil
    }

    private func candidates(_ name: String) -> [String] {
        var found: [String] = []
        func under(_ base: String, _ name: String) -> String {
            name.hasPrefix("/") ? name : base + "/" + name
        }
        // `path` is resolved against settings of other programs: beside the file is tried too.
        if let chosen = reading.folder { found.append(under(chosen, name)) }
        if let root = settings.root {
            found.append(under(under(folder, root), name))
            found.append(under(root, name))
        }
        found.append(under(folder, name))
        // Roboflow's `../train/images` starts from a folder that its export does not have. Another machine's absolute path: its end is tried below the file's folder.
        let parts = name.split(separator: "/").map(String.init)
        let bare = parts.drop { $0 == ".." || $0 == "." }
        for start in bare.indices {
            let end = bare[start...].joined(separator: "/")
            found.append(folder + "/" + end)
        }
        return found
    }
}
