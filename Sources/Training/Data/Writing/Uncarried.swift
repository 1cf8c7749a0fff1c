// What a format cannot hold of a data set: each kind counted, and said.

public import OrderedCollections

/// Parts of a data set that its new format has no place for, by kind.
public struct Uncarried: Sendable {
    /// A kind of thing that not every format holds.
    public enum Kind: String, Sendable, CaseIterable {
        /// Outlines, of which the bounding boxes are kept.
        case polygons
        /// Boxes that are replaced by the box around their outline.
        case boxesBesidePolygons
        /// Objects of several outlines, which are joined to one.
        case joinedPolygons
        /// Boxes that are written as outlines of four corners.
        case boxesAsPolygons
        /// Rotated boxes, of which the upright bounding boxes are kept.
        case orientedBoxes
        /// Masks, of which the bounding boxes are kept.
        case masks
        /// Masks in files, which have no bounding box.
        case maskFiles
        /// Keypoints.
        case keypoints
        /// Crowds, which are left out: they are not single objects.
        case crowds
        /// Marks that an object is difficult or truncated.
        case flags
        /// Areas of objects.
        case areas
        /// Confidences of predictions.
        case scores
        /// Boxes, of which the labels are kept.
        case boxes
        /// Labels of whole images.
        case labels
        /// Boxes with less than a pixel's side.
        case thinBoxes
        /// Boxes that are cut at the image's edge.
        case clippedBoxes
        /// Images without any annotation.
        case emptyImages
        /// Images with several classes.
        case severalLabels
        /// Images that are not on disk.
        case missingImages
        /// Images whose size is not known.
        case unsizedImages
        /// Classes that no image shows.
        case unusedClasses
        /// The order of the classes.
        case classOrder
        /// Groups of images that belong together.
        case groups
        /// Names that were changed to be unique, or because of a blank.
        case names
    }

    /// The counts by kind.
    public private(set) var counts: OrderedDictionary<Kind, Int> = [:]

    /// Nothing.
    init() {}

    /// Counts one or more of a kind.
    mutating func add(_ kind: Kind, count: Int = 1) {
        if count > 0 { counts[kind, default: 0] += count }
    }

    /// A line for each kind.
    public var lines: [String] { counts.map { kind, count in kind.text(count) } }
}

extension Uncarried.Kind {
    /// The count in words, and what became of them.
    fileprivate func text(_ count: Int) -> String {
        func words(_ one: String, _ many: String) -> String {
            "\(count) \(count == 1 ? one : many)"
        }
        return switch self {
        case .polygons: words("outline", "outlines") + ": the bounding boxes are kept"
        case .boxesBesidePolygons:
            words("box", "boxes") + " beside an outline: the box around the outline takes its place"
        case .joinedPolygons:
            words("object", "objects") + " of several outlines, which are joined to one"
        case .boxesAsPolygons:
            words("box", "boxes") + " written as outlines, as the set has outlines too"
        case .orientedBoxes:
            words("oriented box", "oriented boxes") + ": the upright bounding boxes are kept"
        case .masks: words("mask", "masks") + ": the bounding boxes are kept"
        case .maskFiles: words("object", "objects") + " with a mask file only"
        case .keypoints: words("object", "objects") + " with keypoints: they are not written"
        case .crowds: words("crowd annotation", "crowd annotations")
        case .flags: words("mark", "marks") + " of a difficult or truncated object"
        case .areas: words("area", "areas") + " of an object that is not its box's or outline's"
        case .scores: words("score", "scores")
        case .boxes: words("box", "boxes") + ": the labels of the images are kept"
        case .labels: words("label", "labels") + " of whole images"
        case .thinBoxes: words("box", "boxes") + " narrower than a pixel"
        case .clippedBoxes: words("box", "boxes") + " cut at the edge of the image"
        case .emptyImages: words("image", "images") + " without annotations"
        case .severalLabels: words("image", "images") + " of several classes"
        case .missingImages: words("image that is", "images that are") + " not on disk"
        case .unsizedImages: words("image", "images") + " of unknown size"
        case .unusedClasses: words("class", "classes") + " without an image"
        case .classOrder: "the order of the classes"
        case .groups: words("image", "images") + " with a group"
        case .names: words("image name", "image names") + " as they were: they are changed"
        }
    }
}
