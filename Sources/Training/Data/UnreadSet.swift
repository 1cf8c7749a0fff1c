// Data sets of formats that graft does not read, known by their files: their images are not taken for class folders.

import GraftImages
import GraftTensors

/// A data set of a format that is not read.
public struct UnreadSet: Sendable, Hashable {
    /// The format, as a noun with its verb: `is a TFRecord file`.
    public let format: String
    /// The file that tells, below the folder; empty of a file itself.
    public let sign: String
    /// What to do about it.
    public let advice: String

    /// The set in a folder whose images would otherwise be taken for class folders; nil if there is no
    /// sign of one.
    static func find(_ listing: FolderListing) -> UnreadSet? {
        let files = listing.files.map { File($0) }
        let images = files.filter { ContentKind.hasReadableExtension($0.path) }
        guard !images.isEmpty else { return files.lazy.compactMap(stored).first }
        return files.lazy.compactMap { annotations($0) }.first ?? masks(images)
            ?? unknown(files, beside: images)
    }

    /// What a file holds that is neither an image nor a list of images; nil of any other.
    static func find(file path: String) -> UnreadSet? {
        guard let set = stored(File(fileName(path))) ?? annotations(File(fileName(path))) else {
            return nil
        }
        return UnreadSet(format: set.format, sign: "", advice: set.advice)
    }

    /// A path in small letters, and the folders that it is in.
    private struct File {
        let path: String
        let name: String
        let folders: [String]

        init(_ path: String) {
            self.path = path
            let parts = path.lowercased().split(separator: "/").map(String.init)
            name = parts.last ?? ""
            folders = Array(parts.dropLast())
        }

        var parent: String { folders.last ?? "" }
        var ending: String { fileExtension(name) }
    }

    private static let unpacking =
        "write the images as files, in class folders or with a table of their labels"

    /// Files that hold images themselves.
    private static func stored(_ file: File) -> UnreadSet? {
        func set(_ format: String, advice: String = unpacking) -> UnreadSet {
            UnreadSet(format: format, sign: file.path, advice: advice)
        }
        let name = file.name
        if ["tfrecord", "tfrecords", "tfrec", "record"].contains(file.ending)
            || name.contains(".tfrecord-")
        {
            return set(
                "is a TFRecord file",
                advice: "export the set again as COCO, YOLO or Pascal VOC, or as class folders")
        }
        if name == "data.mdb" || name == "lock.mdb" || file.ending == "lmdb" {
            return set("is an LMDB database")
        }
        if name.contains("-ubyte") { return set("is an IDX file of MNIST's kind") }
        if name.hasPrefix("data_batch") || name == "batches.meta" {
            return set("is a batch of CIFAR's kind")
        }
        switch file.ending {
        case "npz", "npy", "h5", "hdf5", "mat", "pkl", "pickle", "pt", "pth":
            return set("holds arrays, not image files")
        case "arrow":
            return set("is an Arrow file", advice: "save it as Parquet: `dataset.to_parquet(…)`")
        case "zip", "tar", "gz", "tgz", "7z", "rar", "bz2", "xz", "zst":
            return set(
                "is an archive that is not opened here",
                advice: "unpack it first; a .zip or .tar can be named itself")
        default: return nil
        }
    }

    private static func converting(_ format: String) -> String {
        "convert it, for example with Datumaro: `datum convert -if \(format) -i DATA -f coco -o NEW`"
    }

    /// Annotations of a known format.
    private static func annotations(_ file: File) -> UnreadSet? {
        func set(_ format: String, advice: String) -> UnreadSet {
            UnreadSet(format: format, sign: file.path, advice: advice)
        }
        let asCOCO = "export the annotations as COCO, YOLO or Pascal VOC"
        if file.name.hasSuffix("_bbx_gt.txt") {
            return set("is a list of boxes of WIDER FACE", advice: converting("wider_face"))
        }
        if file.name == "gt.txt", file.parent == "gt" {
            return set("holds tracks of MOT Challenge", advice: converting("mot_seq_gt"))
        }
        if file.name.hasSuffix("_polygons.json") {
            return set("holds outlines of Cityscapes", advice: converting("cityscapes"))
        }
        if file.name == "_annotations.txt" {
            return set("is a list of boxes of Keras YOLO", advice: "export the set as YOLO or COCO")
        }
        switch file.ending {
        case "odgt": return set("holds annotations of CrowdHuman", advice: asCOCO)
        case "manifest": return set("is a manifest of SageMaker Ground Truth", advice: asCOCO)
        default: return nil
        }
    }

    /// Names of folders that hold images of several classes.
    private static let imageFolders: Set<String> = [
        "", "images", "image", "imgs", "img", "img1", "image_2", "jpegimages", "leftimg8bit",
        "pictures", "photos", "frames", "data", "dataset", "100k", "raw", "rgb",
    ]
    /// Names of folders of masks beside them.
    private static let maskFolders: Set<String> = [
        "segmentationclass", "segmentationobject", "segmentationclassaug", "masks", "mask",
        "gtfine",
        "labels", "annotations", "gt", "instance", "instances", "semantic", "semantic_rgb",
        "instance_rgb",
    ]

    private static func masks(_ images: [File]) -> UnreadSet? {
        let beside = images.first { !maskFolders.isDisjoint(with: $0.folders) }
        let named = images.first { stem($0.name).hasSuffix("_mask") }
        let hasImages = images.contains {
            !imageFolders.subtracting([""]).isDisjoint(with: $0.folders)
                && maskFolders.isDisjoint(with: $0.folders)
        }
        guard let mask = (hasImages ? beside : nil) ?? named,
            !images.allSatisfy({ stem($0.name).hasSuffix("_mask") })
        else { return nil }
        return UnreadSet(
            format: "is a mask of a segmentation", sign: mask.path,
            advice: "graft learns classes and boxes: export boxes or outlines as COCO or YOLO")
    }

    /// Files of annotations beside images whose folders say nothing of classes.
    private static func unknown(_ files: [File], beside images: [File]) -> UnreadSet? {
        let saysNothing = images.allSatisfy {
            imageFolders.contains($0.parent) || DataSplit(naming: $0.parent) != nil
        }
        let endings = ["json", "jsonl", "ndjson", "xml", "txt", "csv", "tsv", "yaml", "yml"]
        let ordinary = ["readme", "license", "licence", "citation", "requirements", "notice"]
        guard saysNothing,
            let sign = files.first(where: { file in
                endings.contains(file.ending) && !ordinary.contains { file.name.contains($0) }
            })
        else { return nil }
        return UnreadSet(
            format: "is of no format of annotations that graft knows", sign: sign.path,
            advice:
                "export the annotations as COCO, YOLO or Pascal VOC; add --classes-are-folders if "
                + "the folders are the classes")
    }
}
