// The files that publishers put beside weights: labels, architecture, and how images are prepared.

internal import FoundationEssentials
internal import GraftArchitectures
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

/// What the files beside a file of weights say.
struct CompanionFiles {
    /// The names of the outputs, and the file that has them.
    var labels: (names: [String], file: String)?
    /// How images are prepared, and the file that says so.
    var preprocessing: (changes: PreprocessingChanges, file: String)?
    /// timm's name of the network.
    var architecture: String?
    /// What the outputs answer.
    var task: LearningTask?
    /// What was found and could not be used.
    var notes: [String] = []

    /// The files that are looked for, those that say most first.
    static let names = [
        "config.json", "preprocessor_config.json", "processor_config.json", "labels.txt",
        "class_names.txt", "classes.txt",
        "labels.json", "metadata.json",
    ]

    /// Reads what lies beside the file at `path`.
    init(beside path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        if let config = try? Self.json(at: folder + "config.json") { read(config: config) }
        if let json = try? Self.json(at: folder + "preprocessor_config.json"),
            let changes = Self.preprocessing(json, &notes), !changes.isEmpty
        {
            preprocessing = (changes, "preprocessor_config.json")
        }
        // What a processor of images and texts saves since transformers 5.
        if preprocessing == nil, let json = try? Self.json(at: folder + "processor_config.json"),
            let inner = json["image_processor"],
            let changes = Self.preprocessing(inner, &notes), !changes.isEmpty
        {
            preprocessing = (changes, "processor_config.json")
        }
        for name in ["labels.txt", "class_names.txt", "classes.txt", "labels.json"]
        where labels == nil && Self.isFile(folder + name) {
            if let names = try? LabelNames.read(folder + name) { labels = (names, name) }
        }
        let metadata = try? Self.json(at: folder + "metadata.json")
        if let metadata, metadata["tmVersion"] != nil || metadata["tfjsVersion"] != nil {
            if labels == nil, let names = metadata["labels"].flatMap(LabelNames.names(in:)) {
                labels = (names, "metadata.json")
            }
        }
        let isTeachable =
            metadata?["tmVersion"] != nil
            || path.split(separator: "/").last == "keras_model.h5" && labels?.file == "labels.txt"
        if isTeachable, preprocessing == nil {
            // `ImageOps.fit(image, (224, 224), LANCZOS)`, then x / 127.5 − 1.
            let side = metadata?["imageSize"]?.integer ?? 224
            preprocessing = (
                PreprocessingChanges(
                    normalization: .tf, size: .init(height: side, width: side), crop: .fraction(1),
                    kernel: .lanczos), "Teachable Machine's files"
            )
        }
    }

    /// What timm and transformers say in `config.json`.
    private mutating func read(config: JSONTree) {
        let cfg = config["pretrained_cfg"] ?? .null
        for (key, tree) in [
            ("label_names", config["label_names"]), ("label_names", cfg["label_names"]),
            ("id2label", config["id2label"]), ("label2id", config["label2id"]),
            ("labels", config["labels"]), ("classes", config["classes"]),
            ("class_names", config["class_names"]),
        ] where labels == nil {
            guard let tree, let names = LabelNames.names(in: tree) else { continue }
            // What transformers writes where nobody gave names.
            let isDefault = names.enumerated().allSatisfy { $1 == "LABEL_\($0)" }
            if !isDefault { labels = (names, "config.json (\(key))") }
        }
        architecture = config["architecture"]?.string
        task = LearningTask(problemType: config["problem_type"]?.string) ?? task
        let timm = cfg["mean"] != nil || cfg["input_size"] != nil ? cfg : config
        if timm["input_size"] != nil || timm["crop_pct"] != nil || timm["mean"] != nil,
            let changes = Self.timm(timm, &notes), !changes.isEmpty
        {
            preprocessing = (changes, "config.json")
        }
    }

    /// The object in a JSON file; nil where there is no such file, or it holds something else.
    static func json(at path: String) throws -> JSONTree? {
        guard isFile(path) else { return nil }
        guard let tree = LabelNames.json(try LabelNames.text(at: path)), case .object = tree else {
            return nil
        }
        return tree
    }

    private static func isFile(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: path)
    }
}

extension Model {
    /// Takes what the files beside the weights say and what fits the network; notes say what.
    mutating func take(_ companions: CompanionFiles) {
        notes += companions.notes
        var taken: [String] = []
        let outputs = outputCount
        if let (names, file) = companions.labels {
            let fits = names.count == outputs || names.count == 2 && outputs == 1
            if fits, graph.ending != .features {
                labels = names
                taken.append("\(names.count) labels from \(file)")
            } else if graph.ending != .features {
                notes.append(
                    "\(file) has \(names.count) labels, the network \(outputs ?? 0) outputs: not "
                        + "used")
            }
        }
        if let (changes, file) = companions.preprocessing {
            do {
                let new = try changes.applied(to: preprocessing, channels: graph.inputChannels)
                let (height, width) = (new.height, new.width)
                _ = try graph.shapes(input: [1, graph.inputChannels, height, width])
                preprocessing = new
                taken.append("preprocessing from \(file) (\(new.summary))")
            } catch {
                let reason = (error as? any Diagnostic)?.message ?? "\(error)"
                notes.append("the preprocessing of \(file) is not used: \(reason)")
            }
        }
        if !taken.isEmpty { notes.append("taken: " + taken.joined(separator: "; ")) }
    }
}

extension Preprocessing {
    /// The preprocessing in a few words.
    var summary: String {
        let size = "\(height)×\(width)"
        let cut =
            shorterSide.map { resize == .squash ? ", of both sides \($0)" : ", of \($0)" } ?? ""
        let preset = Normalization.presets.sorted { $0.key < $1.key }
            .first { $0.value == normalization }?.key
        let arithmetic =
            preset
            ?? "scale \(normalization.scale), mean \(normalization.mean), std \(normalization.std)"
        return "\(size)\(cut), \(kernel.rawValue), \(arithmetic)"
    }
}
