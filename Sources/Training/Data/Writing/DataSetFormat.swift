// The formats that data sets are written in, and what is done with the images.

/// A format of labelled or annotated images that graft writes.
public enum DataSetFormat: String, Sendable, CaseIterable {
    /// A folder per class.
    case folders
    /// A table: a row per image, or per box.
    case csv
    /// COCO's JSON.
    case coco
    /// Ultralytics' `data.yaml` with a label file per image.
    case yolo
    /// Pascal VOC's XML per image.
    case voc
    /// Apple's Create ML JSON.
    case createml
    /// Label Studio's JSON of tasks, and the labelling configuration that fits it.
    case labelstudio

    /// The format as people call it.
    public var title: String {
        switch self {
        case .folders: "class folders"
        case .csv: "CSV"
        case .coco: "COCO"
        case .yolo: "YOLO"
        case .voc: "Pascal VOC"
        case .createml: "Create ML"
        case .labelstudio: "Label Studio"
        }
    }
}

/// How the images of a written data set get there.
public enum ImagePlacement: String, Sendable, CaseIterable {
    /// Hard links, which take no space; copies where the file system has none.
    case link
    /// Copies.
    case copy
    /// Not at all: annotations only.
    case none
}
