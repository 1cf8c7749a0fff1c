// What a data set says of each image as a whole, whichever task learns from it.

/// The facts that a data set has about each image.
public enum Labelling: String, Sendable, Hashable, Codable, CaseIterable {
    /// The one class that it is of.
    case oneClass = "one class"
    /// Any number of labels that hold, those of the objects in it too.
    case labels
    /// One or more numbers.
    case values
}
