// Annotated images whose annotations are labels of the whole image, as examples for a classifier.

import GraftTensors

extension PhotoFolder {
    /// Whether a folder holds Parquet files, or a few folders below do.
    package static func hasParquet(_ folder: String) -> Bool { ParquetSet.isFolder(folder) }

    /// One class for each image, or any number of labels if `reading` or the images ask for it.
    init(labels set: AnnotatedImages, _ path: String, _ reading: PhotoReading) throws {
        let names = set.names
        let places = places(names)
        let isMulti =
            reading.labelling == .labels || set.images.contains { $0.annotations.count > 1 }
        if isMulti { try Self.checkTargets(path, names.count, set.images.count) }
        var items: [Item] = []
        for image in set.images where !image.isMissing {
            let labels = image.annotations.compactMap { places[$0.label] }
            guard isMulti || labels.count == 1 else { continue }
            var item = Item(
                path: image.path, relativePath: image.name,
                classIndex: isMulti ? 0 : labels.first ?? 0)
            (item.split, item.group) = (image.split, image.group)
            (item.range, item.embedded) = (image.range, image.embedded)
            if isMulti {
                item.targets = [Float](repeating: 0, count: names.count)
                for label in labels { item.targets[label] = 1 }
            }
            items.append(item)
        }
        self.init(
            path: path, classes: names,
            items: items.sorted {
                ($0.classIndex, $0.relativePath) < ($1.classIndex, $1.relativePath)
            }, labelling: isMulti ? .labels : .oneClass)
        remarks = set.remarks
        notes = set.notes
    }
}
