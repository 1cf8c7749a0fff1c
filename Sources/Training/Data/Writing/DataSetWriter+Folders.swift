// A folder per class, below a folder per split if the set is divided.

extension DataSetWriter {
    mutating func writeFolders(_ progress: (Int, Int) throws -> Void) throws {
        for name in classes where name.isEmpty || [".", ".."].contains(name) || name.contains("/") {
            throw DataSetWritingError.className(
                name, format: .folders, reason: "it is not the name of a folder")
        }
        var kept: [Output] = []
        var written: Set<String> = []
        for (index, output) in outputs.enumerated() {
            let labels = Set(output.image.annotations.map(\.label))
            report.uncarried.add(
                .boxes, count: output.image.annotations.count { $0.boundingBox != nil })
            guard let label = labels.first, labels.count == 1 else {
                report.uncarried.add(labels.isEmpty ? .emptyImages : .severalLabels)
                continue
            }
            let split = splitName(output.image.split)
            try place(output, in: split.isEmpty ? label : split + "/" + label)
            kept.append(output)
            written.insert(label)
            try progress(index + 1, outputs.count)
        }
        guard !kept.isEmpty else {
            throw DataSetWritingError.nothingToWrite(
                report.path, format: .folders, found: "images of several classes, or of none")
        }
        outputs = kept
        report.annotationCount = kept.count
        loseClassList(written: written)
    }
}
