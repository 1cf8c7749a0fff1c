// A folder of folders of photos: each folder is a class, each photo in it an example.

public import GraftImages
public import GraftTensors

/// Labelled photos on disk: `folder/class/photo.jpg`, as torchvision's `ImageFolder` and Keras'
/// `image_dataset_from_directory` have them.
public struct PhotoFolder: Sendable {
    /// One labelled photo.
    public struct Item: Sendable, Hashable {
        /// Where it is.
        public let path: String
        /// Where it is below the folder: what a ``Split`` remembers.
        public let relativePath: String
        /// Its class, an index into ``PhotoFolder/classes``; 0 where a photo is not of one class.
        public var classIndex: Int
        /// With many labels: 1 for those that hold, 0 for others. With numbers: the numbers.
        public var targets: [Float] = []
        /// Photos of one group stay on one side of a split.
        public var group: String?
        /// Where it is in the file at ``path``, if that is an archive.
        public var range: Range<Int>?
        /// The value that holds it, if the file is a Parquet file and compressed.
        package var embedded: EmbeddedImage?
        /// What is annotated in the image, as read: objects with their boxes, outlines and masks.
        public var annotations: [Annotation] = []
        /// The size of the image in pixels, where a task needed it.
        public var size: PixelSize?
        /// The part of the picture that is meant, if not all.
        public var box: Box?
        /// The part of the data set that it belongs to, if the set is divided.
        public var split: DataSplit?

        /// A labelled photo.
        public init(path: String, relativePath: String, classIndex: Int) {
            self.path = path
            self.relativePath = relativePath
            self.classIndex = classIndex
        }
    }

    /// The folder.
    public let path: String
    /// The names of the classes, in the order of their bytes (Python's `sorted`); of numbers, the
    /// names of the columns as they come.
    public let classes: [String]
    /// The photos, class by class, in the order of their relative paths.
    public let items: [Item]
    /// What is known of each photo.
    public var labelling = Labelling.oneClass
    /// What was left out while reading, and why.
    public var remarks: [String] = []
    /// What had to be assumed while reading, as sentences.
    public var notes: [String] = []

    /// Labelled photos.
    public init(
        path: String, classes: [String], items: [Item], labelling: Labelling = .oneClass
    ) {
        self.path = path
        self.classes = classes
        self.items = items
        self.labelling = labelling
    }

    /// How many photos each class has; of numbers, how many photos there are.
    public var counts: [Int] {
        guard labelling == .oneClass else {
            return classes.indices.map { index in
                items.count { labelling == .values || $0.targets[index] > 0 }
            }
        }
        return items.reduce(into: [Int](repeating: 0, count: classes.count)) {
            $0[$1.classIndex] += 1
        }
    }
}

/// A folder that is not a folder of folders of photos.
public enum PhotoFolderError: Diagnostic, Equatable {
    /// A file was given.
    case notAFolder(String)
    /// There is no folder in the folder; `photos` lie in it directly.
    case noClasses(String, photos: Int)
    /// There is one class only.
    case oneClass(String, name: String)
    /// A class has no image, only links that lead out of the folder, or other files.
    case emptyClass(String, links: Int, leftOut: LeftOutFiles)
    /// All images are for validation or for tests.
    case noTraining(String)
    /// There are links out of the folder where class folders are expected.
    case onlyLinks(String, names: [String])
    /// Folders named as splits hold images, but no class folders.
    case unlabelledSplits(String, names: [String])
    /// A share of photos for validation that leaves one side without any.
    case fraction(Double)
    /// A class has too few photos to have some on both sides of a split.
    case tooFew(String, count: Int)
    /// A photo of an archive that nothing labels.
    case unlabelled(String, photo: String)
    /// The files are of another task than was asked for.
    case otherTask(String, expected: LearningTask, found: LearningTask)
    /// So many labels for so many photos that a table of both has no place.
    case tooManyLabels(String, labels: Int, photos: Int)
    /// Columns were asked for of what has none.
    case noTable(String)
    /// The groups are so few or so large that one side would be left without a class.
    case tooFewGroups(String, groups: Int)

    /// What happened.
    public var message: String {
        switch self {
        case .notAFolder(let path): "expected a folder of photos at `\(path)`, found a file"
        case .noClasses(let path, let photos):
            "expected a folder for each class in `\(path)`, found none"
                + (photos > 0 ? " but \(photos) photos" : "")
        case .oneClass(let path, let name):
            "expected at least 2 classes in `\(path)`, found 1: `\(name)`"
        case .emptyClass(let path, let links, let leftOut):
            "expected images (\(ContentKind.readableList)) in `\(path)`, found "
                + (links > 0
                    ? "\(links) link\(links == 1 ? "" : "s") to files outside of the folder"
                    : leftOut.isEmpty ? "none" : "none but \(leftOut.kinds)")
        case .noTraining(let path):
            "expected training images in `\(path)`, found only images of other splits"
        case .onlyLinks(let path, let names):
            "expected a folder for each class in `\(path)`, found links out of it: "
                + names.prefix(5).map { "`\($0)`" }.joined(separator: ", ")
                + (names.count > 5 ? " and \(names.count - 5) more" : "")
        case .unlabelledSplits(let path, let names):
            "expected class folders in the splits of `\(path)`, found images: "
                + names.map { "`\($0)`" }.joined(separator: ", ")
        case .fraction(let fraction):
            "expected a validation share between 0 and 1, found \(fraction)"
        case .tooFew(let name, let count):
            "expected at least 2 photos of class `\(name)` to split, found \(count)"
        case .unlabelled(let path, let photo):
            "nothing says of which class the photo `\(photo)` in `\(path)` is"
        case .otherTask(let path, let expected, let found):
            "`\(path)` is a set for \(found.rawValue), not for \(expected.rawValue)"
        case .tooManyLabels(let path, let labels, let photos):
            "expected a table of labels, found \(labels) of them for \(photos) photos in `\(path)`"
        case .noTable(let path): "expected a table with columns at `\(path)`, found other photos"
        case .tooFewGroups(let name, let groups):
            "the \(groups) groups of photos cannot be divided so that both sides have `\(name)`"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .notAFolder, .noClasses:
            "lay the photos out as `photos/cat/1.jpg`, `photos/dog/2.jpg`"
        case .oneClass(let path, _):
            PhotoFolder.isFile(path)
                ? "add photos of something else, for example of a class `other`"
                : "add a folder of photos of something else, for example `other`"
        case .emptyClass(_, let links, _):
            links > 0
                ? "add --follow-links to read what the links lead to"
                : "add photos to it, or remove the folder"
        case .noTraining: nil
        case .onlyLinks: "add --follow-links to read what the links lead to"
        case .unlabelledSplits:
            "name the table that holds their labels, or add --classes-are-folders if these folders are the classes"
        case .fraction: "a fifth is usual: 0.2"
        case .unlabelled: "put photos into folders named by class, or a `.cls` file beside each"
        case .otherTask(_, let expected, _):
            expected.traits.dataHint
        case .noTable: "leave --columns out, or name a .csv or .jsonl file"
        case .tooManyLabels: "name the column that holds labels, or learn from fewer photos at once"
        case .tooFewGroups, .tooFew: "add photos, or name a folder of validation photos of its own"
        }
    }
}
