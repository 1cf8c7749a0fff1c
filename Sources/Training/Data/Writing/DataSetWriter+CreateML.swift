// Create ML: one JSON file beside the images of each split, boxes by their centres in pixels.

import GraftImages

extension DataSetWriter {
    mutating func writeCreateML(_ progress: (Int, Int) throws -> Void) throws {
        var written: Set<String> = []
        var done = 0
        for (name, outputs) in parts {
            try folder.makeFolder(name)
            let prefix = name.isEmpty ? "" : name + "/"
            var file = try TextFile(folder.place(prefix + "_annotations.createml.json"))
            try file.put("[")
            for (index, output) in outputs.enumerated() {
                try place(output, in: name)
                try file.put(index == 0 ? "\n" : ",\n")
                let objects = objects(output, carrying: []).map { object in
                    written.insert(object.annotation.label)
                    let box = object.box
                    let parts = [
                        ("x", (box.left + box.right) / 2), ("y", (box.top + box.bottom) / 2),
                        ("width", box.right - box.left), ("height", box.bottom - box.top),
                    ].map { "\"\($0)\":\(Written.number($1))" }
                    return "{\"label\":\(Written.quoted(object.annotation.label)),\"coordinates\":{"
                        + parts.joined(separator: ",") + "}}"
                }
                report.annotationCount += objects.count
                try file.put(
                    "{\"image\":\(Written.quoted(output.name)),\"annotations\":["
                        + objects.joined(separator: ",") + "]}")
                done += 1
                try progress(done, self.outputs.count)
            }
            try file.put("]\n")
            try file.finish()
        }
        loseClassList(written: written)
    }
}
