// The options that say how labelled photos are read.

import ArgumentParser
import Graft
import GraftTraining

struct DataSettings: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "classification, multi-label, regression, embedding or detection.",
            discussion: """
                Without it, the names of a table's columns say which: see --columns. Embeddings are \
                learned from classes, detection from annotated boxes (COCO, YOLO, VOC).
                """),
        transform: choice)
    var task: LearningTask?
    @Option(
        help: ArgumentHelp(
            "The columns of a table that hold the labels or numbers, with commas between them.",
            discussion: """
                Without it: `label` or `class`; `labels`, with | between them; `value` or `target`.
                """)) var columns: String?
    @Option(
        help: "Keep photos on one side whose names are the same up to this text, for example _.")
    var group: String?
    @Flag(help: "Of photos with boxes (COCO, YOLO, VOC): an example for each box.") var crops =
        false

    var reading: PhotoReading {
        var reading = PhotoReading(task: task)
        reading.columns = columns?.split(separator: ",").map(String.init) ?? []
        reading.groupBefore = group ?? ""
        reading.crops = crops
        return reading
    }
}
