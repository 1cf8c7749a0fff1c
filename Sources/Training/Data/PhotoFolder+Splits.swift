// The parts of a divided set, several parts as one set, and what a set must have to be learned from.

import GraftTensors

extension PhotoFolder {
    /// Whether the set has validation or test images of its own.
    public var isDivided: Bool {
        items.contains { $0.split == .validation || $0.split == .test }
    }

    /// The images of one part; what belongs to no part is training.
    public func only(_ split: DataSplit) -> PhotoFolder {
        with(items: items.filter { ($0.split ?? .training) == split })
    }

    /// The part that a model is evaluated on: test images, else validation images, else all.
    public var evaluated: (photos: PhotoFolder, split: DataSplit?) {
        for split in [DataSplit.test, .validation]
        where items.contains(where: { $0.split == split }) {
            return (only(split), split)
        }
        return (self, nil)
    }

    /// How the set is divided, as a sentence; nil if it is not.
    public var division: String? {
        guard isDivided else { return nil }
        let counts = DataSplit.allCases.compactMap { split -> String? in
            let count = items.count { ($0.split ?? .training) == split }
            return count > 0 ? "\(count) \(split.name)" : nil
        }
        let images = counts.joined(separator: ", ") + " images"
        let hasValidation = items.contains { $0.split == .validation }
        return "the set is divided: " + images
            + (hasValidation
                ? "" : "; test images are left for `graft evaluate`, and training images held out")
    }

    /// Which classes have a single training image, as a sentence; nil if none has.
    public var loneClasses: String? {
        guard labelling == .oneClass else { return nil }
        let counts = only(.training).counts
        let alone = zip(classes, counts).filter { $1 == 1 }.map { "`\($0.0)`" }
        guard !alone.isEmpty, counts.contains(where: { $0 > 1 }) else { return nil }
        let names = alone.prefix(5).joined(separator: ", ")
        return
            "\(alone.count) \(alone.count == 1 ? "class has" : "classes have") a single image, which "
            + "is learned from and not validated: \(names)"
            + (alone.count > 5 ? " and \(alone.count - 5) more" : "")
    }

    /// Throws if nothing can be learned from the set.
    public func requireForTraining() throws {
        guard !items.isEmpty else { throw PhotoFolderError.noClasses(path, photos: 0) }
        let least = labelling == .oneClass ? 2 : 1
        guard labelling == .values || classes.count >= least else {
            throw PhotoFolderError.oneClass(path, name: classes.first ?? "none")
        }
        guard items.contains(where: { ($0.split ?? .training) == .training }) else {
            throw PhotoFolderError.noTraining(path)
        }
    }

    /// The set as a part of a larger one: below `folder`, and of one split.
    func moved(into folder: String, split: DataSplit?) -> PhotoFolder {
        with(
            items: items.map { item in
                var moved = Item(
                    path: item.path, relativePath: folder + "/" + item.relativePath,
                    classIndex: item.classIndex)
                moved.targets = item.targets
                (moved.group, moved.range, moved.box) = (item.group, item.range, item.box)
                moved.split = split
                return moved
            })
    }

    /// One set of several parts; their classes are joined by name.
    init(joining parts: [PhotoFolder], path: String) throws {
        let labelling = parts.first?.labelling ?? .oneClass
        guard parts.allSatisfy({ $0.labelling == labelling }) else {
            throw DataSetError.mixedParts(path)
        }
        let lists = parts.map(\.classes)
        let classes =
            lists.allSatisfy { $0 == lists.first }
            ? lists.first ?? [] : sortedNames(lists.flatMap { $0 })
        let places = places(classes)
        var items: [Item] = []
        for part in parts {
            for item in part.items {
                var item = item
                if labelling == .oneClass {
                    item.classIndex = places[part.classes[item.classIndex]] ?? 0
                } else {
                    var targets = [Float](repeating: 0, count: classes.count)
                    for (name, value) in zip(part.classes, item.targets) {
                        if let at = places[name] { targets[at] = value }
                    }
                    item.targets = targets
                }
                items.append(item)
            }
        }
        self.init(
            path: path, classes: classes,
            items: items.sorted {
                ($0.classIndex, $0.relativePath) < ($1.classIndex, $1.relativePath)
            }, labelling: labelling)
        remarks = parts.flatMap(\.remarks)
        notes = parts.flatMap(\.notes)
    }
}
