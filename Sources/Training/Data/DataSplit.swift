// The division of a data set into training, validation and test images, and its many spellings.

/// The part of a data set that an image belongs to.
public enum DataSplit: String, Sendable, Hashable, Codable, CaseIterable {
    case training
    case validation
    case test

    /// The split that a folder, file or field of this name means; nil if it means none.
    ///
    /// Case, a year or number at the end and words around it do not matter: `Training`, `seg_train`,
    /// `training_set`, `train2017`, `TEST`, `valid`.
    public init?(naming name: some StringProtocol) {
        // Words are parted by anything that is no letter, and where lower case turns to upper case.
        var words: [String] = [""]
        var wasLower = false
        for scalar in name.unicodeScalars {
            let isLower = scalar.properties.isLowercase
            guard scalar.properties.isAlphabetic else {
                words.append("")
                wasLower = false
                continue
            }
            if wasLower, scalar.properties.isUppercase { words.append("") }
            words[words.count - 1] += scalar.properties.lowercaseMapping
            wasLower = isLower
        }
        let meant = Set(words.compactMap { Self.words[$0] })
        // Other words may stand around it only if they are of sets themselves.
        let others = words.filter {
            !$0.isEmpty && Self.words[$0] == nil && !Self.beside.contains($0)
        }
        guard meant.count == 1, others.isEmpty, let split = meant.first else { return nil }
        self = split
    }

    private static let words: [String: DataSplit] = [
        "train": .training, "training": .training, "trn": .training, "trainset": .training,
        "val": .validation, "valid": .validation, "validation": .validation, "dev": .validation,
        "eval": .validation, "validate": .validation, "valset": .validation,
        "test": .test, "testing": .test, "tst": .test, "testset": .test,
    ]
    private static let beside: Set<String> = [
        "set", "seg", "images", "image", "imgs", "img", "data", "dataset", "split", "folder",
        "photos",
        "pictures", "instances", "annotations", "labels", "obj", "subset", "default", "coco", "voc",
        "person", "keypoints", "captions", "pred", "bbox", "bboxes", "boxes", "metadata", "meta",
    ]

    /// The split in words of the field.
    public var name: String { rawValue }
}
