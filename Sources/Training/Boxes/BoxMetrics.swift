// How well boxes are found: COCO's average precision and recall, and Pascal VOC's.

public import GraftImages

/// A box as it was annotated.
public struct TrueBox: Sendable, Hashable {
    /// The index of the photo.
    public var photo: Int
    /// The index of the class.
    public var label: Int
    /// Where.
    public var box: Box
    /// What COCO's sizes go by: the area of the thing itself, if it is known.
    public var area: Double
    /// Many things in one box: finding it is neither right nor wrong.
    public var isCrowd = false
    /// Hard to see: by Pascal VOC's rules, finding it is neither right nor wrong.
    public var isDifficult = false

    /// An annotated box; without `area`, that of the box.
    package init(
        photo: Int, label: Int, box: Box, area: Double? = nil, isCrowd: Bool = false,
        isDifficult: Bool = false
    ) {
        (self.photo, self.label, self.box, self.area) = (photo, label, box, area ?? box.area)
        (self.isCrowd, self.isDifficult) = (isCrowd, isDifficult)
    }
}

/// Average precision and recall of boxes. What has no box to find is nil.
public struct BoxMetrics: Sendable, Hashable, Codable {
    /// The numbers of one class.
    public struct Class: Sendable, Hashable, Codable {
        /// The class.
        public var name: String
        /// Its boxes.
        public var truths: Int
        /// The boxes that were taken for it.
        public var detections: Int
        /// See ``BoxMetrics/ap``.
        public var ap: Double?
        /// See ``BoxMetrics/ap50``.
        public var ap50: Double?
        /// See ``BoxMetrics/voc07``.
        public var voc07: Double?
        /// See ``BoxMetrics/voc10``.
        public var voc10: Double?
    }

    /// COCO's average precision: the mean over overlaps of 0.50, 0.55 … 0.95, and over the classes,
    /// of the precision at 101 recalls; 100 boxes a photo.
    public var ap: Double?
    /// The same at an overlap of 0.5.
    public var ap50: Double?
    /// The same at an overlap of 0.75.
    public var ap75: Double?
    /// The same for things of less than 32².
    public var apSmall: Double?
    /// The same for things of 32² to 96².
    public var apMedium: Double?
    /// The same for things of more than 96².
    public var apLarge: Double?
    /// COCO's average recall with one box a photo and class: the most that is found, the mean over
    /// the same overlaps.
    public var ar1: Double?
    /// The same with 10 boxes.
    public var ar10: Double?
    /// The same with 100 boxes.
    public var ar100: Double?
    /// The same for things of less than 32².
    public var arSmall: Double?
    /// The same for things of 32² to 96².
    public var arMedium: Double?
    /// The same for things of more than 96².
    public var arLarge: Double?
    /// Pascal VOC's average precision of 2007, the mean of the most precision from 11 recalls on,
    /// at an overlap above 0.5; the mean over the classes.
    public var voc07: Double?
    /// Pascal VOC's of 2010 and later: the area below the precision from each recall on.
    public var voc10: Double?
    /// Class by class.
    public var perClass: [Class]

    /// Compares what was found with what was annotated, in `photos` photos.
    package init(_ found: [Detection], _ truth: [TrueBox], photos: Int, classes: [String]) {
        let matching = COCOMatching(found, truth, photos: photos, classes: classes.count)
        typealias Area = COCOMatching.Area
        let all = matching.curves(.all, limit: 100)
        ap = all.precision()
        ap50 = all.precision(at: 0)
        ap75 = all.precision(at: 5)
        let (small, medium, large) = (
            matching.curves(.small, limit: 100), matching.curves(.medium, limit: 100),
            matching.curves(.large, limit: 100)
        )
        (apSmall, apMedium, apLarge) = (small.precision(), medium.precision(), large.precision())
        (arSmall, arMedium, arLarge) = (small.recall(), medium.recall(), large.recall())
        ar1 = matching.curves(.all, limit: 1).recall()
        ar10 = matching.curves(.all, limit: 10).recall()
        ar100 = all.recall()
        let voc = classes.indices.map { label in
            VOCMatching(
                found.filter { $0.label == label }, truth.filter { $0.label == label })
        }
        func mean(_ values: [Double?]) -> Double? {
            let known = values.compactMap(\.self)
            return known.isEmpty ? nil : known.reduce(0, +) / Double(known.count)
        }
        voc07 = mean(voc.map(\.at11Recalls))
        voc10 = mean(voc.map(\.area))
        perClass = classes.enumerated().map { label, name in
            Class(
                name: name, truths: truth.count { $0.label == label },
                detections: found.count { $0.label == label },
                ap: all.precision(of: label), ap50: all.precision(of: label, at: 0),
                voc07: voc[label].at11Recalls, voc10: voc[label].area)
        }
    }
}
