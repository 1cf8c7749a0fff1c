// CSV: TensorFlow's table of boxes, or a row per image with its labels.

import GraftImages

extension DataSetWriter {
    mutating func writeTable(_ progress: (Int, Int) throws -> Void) throws {
        let hasBoxes = outputs.contains { output in
            output.image.annotations.contains { $0.boundingBox != nil }
        }
        if !valueNames.isEmpty {
            try writeValues(progress)
        } else if hasBoxes {
            try writeBoxes(progress)
        } else {
            try writeLabels(progress)
        }
    }

    private mutating func writeBoxes(_ progress: (Int, Int) throws -> Void) throws {
        var written: Set<String> = []
        var file = try TextFile(folder.place("annotations.csv"))
        try file.put("filename,width,height,class,xmin,ymin,xmax,ymax" + splitTitle + "\n")
        for (index, output) in outputs.enumerated() {
            try place(output, in: "images")
            let start = [
                Self.field("images/" + output.name), "\(output.width)", "\(output.height)",
            ]
            let objects = objects(output, carrying: [])
            for object in objects {
                let box = object.box
                written.insert(object.annotation.label)
                let row =
                    start + [Self.field(object.annotation.label)]
                    + [box.left, box.top, box.right, box.bottom].map(Written.number)
                try file.put((row + splitField(output)).joined(separator: ",") + "\n")
            }
            // A row without a box keeps the image in the set.
            if objects.isEmpty {
                try file.put(
                    (start + ["", "", "", "", ""] + splitField(output)).joined(separator: ",")
                        + "\n")
            }
            report.annotationCount += objects.count
            try progress(index + 1, outputs.count)
        }
        try file.finish()
        loseClassList(written: written)
    }

    private mutating func writeLabels(_ progress: (Int, Int) throws -> Void) throws {
        let isMulti = outputs.contains { Set($0.image.annotations.map(\.label)).count != 1 }
        if isMulti, let name = classes.first(where: { $0.contains { "|;,".contains($0) } }) {
            throw DataSetWritingError.className(
                name, format: .csv, reason: "`|`, `;` and `,` are between labels")
        }
        var written: Set<String> = []
        var file = try TextFile(folder.place("labels.csv"))
        try file.put((isMulti ? "path,labels" : "path,label") + splitTitle + "\n")
        for (index, output) in outputs.enumerated() {
            try place(output, in: "images")
            let labels = sortedNames(output.image.annotations.map(\.label))
            written.formUnion(labels)
            let row = [
                Self.field("images/" + output.name), Self.field(labels.joined(separator: "|")),
            ]
            try file.put((row + splitField(output)).joined(separator: ",") + "\n")
            report.annotationCount += labels.count
            try progress(index + 1, outputs.count)
        }
        try file.finish()
        loseClassList(written: written)
    }

    private mutating func writeValues(_ progress: (Int, Int) throws -> Void) throws {
        var file = try TextFile(folder.place("values.csv"))
        let titles = (["path"] + valueNames).map(Self.field)
        try file.put(titles.joined(separator: ",") + splitTitle + "\n")
        for (index, output) in outputs.enumerated() {
            try place(output, in: "images")
            let row =
                [Self.field("images/" + output.name)] + output.image.values.map { "\($0)" }
                + splitField(output)
            try file.put(row.joined(separator: ",") + "\n")
            try progress(index + 1, outputs.count)
        }
        try file.finish()
        if valueNames.contains(where: { !TableColumns.isValue($0) }) {
            report.notes.append(
                "`graft train` reads it with --task regression --columns "
                    + valueNames.joined(separator: ","))
        }
    }

    private var splitTitle: String { isDivided ? ",split" : "" }

    private func splitField(_ output: Output) -> [String] {
        isDivided ? [splitName(output.image.split)] : []
    }

    /// A field of RFC 4180.
    private static func field(_ text: String) -> String {
        guard text.contains(where: { ",\"\n\r\r\n".contains($0) }) || text.first == " " else {
            return text
        }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
