"""Error conditions: a stable code, a sentence that says what is wrong, and what to do about it.

Every fault that Cairn reports has a code from :data:`CONDITIONS`. A fault of the *data* is a value, a
:class:`Finding` in a row or a row of ``quarantine``; a fault of the *request* or the *environment* is a
:class:`CairnError`. Neither ever carries a value read from a header: messages may end up in logs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

EXIT_DONE = 0
EXIT_OTHER = 1
EXIT_USAGE = 2
EXIT_GATE = 3
EXIT_ENVIRONMENT = 4


@dataclass(frozen=True)
class Condition:
    """One thing that can go wrong.

    Parameters
    ----------
    message : str
        What is wrong, with named blanks (``{name}``) for settings, paths that the user gave, counts.
        Never a blank for a value out of a header.
    remedy : str
        What the reader should do now.
    exit_code : int
        Exit code of a job that ends with it (architecture, section 8).
    """

    message: str
    remedy: str
    exit_code: int = EXIT_OTHER


# Faults of one entry or one element: codes of `quarantine` rows and of `findings`.
ENTRY_CONDITIONS: dict[str, Condition] = {
    "EMPTY_FILE": Condition("The entry holds zero bytes.", "Ask the source for the file again, or leave it out."),
    "NOT_DICOM": Condition(
        "The entry is no DICOM: neither a DICM prefix nor a plausible first element.",
        "Nothing to do unless it should be an image; then ask the source for it again.",
    ),
    "HEADER_TRUNCATED": Condition(
        "The entry ends within its header.", "Ask the source for the file again; it was cut in transfer."
    ),
    "HEADER_CORRUPT": Condition(
        "The header's structure breaks: an element's tag, VR or length cannot be right.",
        "Ask the source for the file again; send the entry id to the developers if other tools read it.",
    ),
    "HEADER_TOO_LARGE": Condition(
        "The header is larger than the limit even without its long values.",
        "Raise headers.header_limit_bytes if the file is genuine.",
    ),
    "HEADER_TOO_DEEP": Condition(
        "Sequences nest deeper than the limit.", "The file is damaged or hostile; leave it out."
    ),
    "DEFLATE_CORRUPT": Condition("The deflated dataset does not inflate.", "Ask the source for the file again."),
    "READ_FAILED": Condition(
        "The entry could not be read after the set number of tries.",
        "Check the storage; the next run tries again.",
    ),
    "READ_FORBIDDEN": Condition("The entry may not be read by this account.", "Grant read access, then run again."),
    "ENTRY_GONE": Condition("The entry has disappeared since the inventory.", "Run inventory again."),
    "ENTRY_CHANGED": Condition(
        "The entry changed while it was read or since the inventory.", "Run inventory again, then headers."
    ),
    "ARCHIVE_ENCRYPTED": Condition("The archive or member is encrypted.", "Supply the archive without a password."),
    "ARCHIVE_CORRUPT": Condition(
        "The archive is cut or damaged; members that could be read were listed.", "Ask the source for it again."
    ),
    "ARCHIVE_TOO_DEEP": Condition(
        "The archive is nested deeper than the limit.", "Raise inventory.archive_depth if it is genuine."
    ),
    "ARCHIVE_UNSUPPORTED": Condition(
        "The member is compressed with a method that is not supported.", "Repack it with deflate or store."
    ),
    "CHECKSUM_MISMATCH": Condition(
        "The content does not match the checksum that its archive holds.", "Ask the source for the archive again."
    ),
    "DUPLICATE_SOP_INSTANCE_UID_DIFFERS": Condition(
        "Another entry carries the same SOPInstanceUID with different content.",
        "Ask the source which of them is right; is_primary marks the one that counts until then.",
    ),
    "LINK_LOOP": Condition("A link leads back to a folder above it; it was not followed.", "Remove the link."),
    "LINK_REPEATED": Condition(
        "A link leads to a folder that is listed at its own place; it was not followed.", "Nothing to do."
    ),
    "NOT_A_FILE": Condition("A device, socket or pipe lies among the files; it was not opened.", "Remove it."),
    "LINK_BROKEN": Condition("A link leads nowhere.", "Remove the link or restore its target."),
    "DUPLICATE_TAG": Condition("A tag occurs twice in one dataset; the last one counts.", "Nothing to do."),
    "CHARSET_BROKEN": Condition(
        "Text holds bytes that its declared character set does not; they became U+FFFD.",
        "Read the bytes in header_blob if the text matters.",
    ),
    "CHARSET_UNDECLARED": Condition(
        "Text holds bytes above 127 without a declared character set; read as ISO 8859-1.",
        "Check such text by its source; the bytes are in header_blob.",
    ),
    "CHARSET_UNDECLARED_UTF8": Condition(
        "Text is UTF-8 without a declared character set; read as UTF-8.", "Nothing to do."
    ),
    "CHARSET_UNKNOWN": Condition(
        "A declared character set is none of the standard's; text was read as ISO 8859-1.",
        "Check such text by its source; the bytes are in header_blob.",
    ),
    "VALUE_LENGTH": Condition(
        "A binary number's length is no multiple of its size; the bytes are in header.", "Ask the source for the file."
    ),
    "VALUE_NOT_DA": Condition("A value is no date; the column is NULL.", "Its text is in header."),
    "VALUE_NOT_DS": Condition("A value is no decimal number; the column is NULL.", "Its text is in header."),
    "VALUE_NOT_DT": Condition("A value is no date and time; the column is NULL.", "Its text is in header."),
    "VALUE_NOT_IS": Condition("A value is no integer of 64 bits; the column is NULL.", "Its text is in header."),
    "VALUE_NOT_TM": Condition("A value is no time; the column is NULL.", "Its text is in header."),
    "VALUE_TOO_MANY": Condition(
        "An attribute of one value holds several; the column has the first.", "All of them are in header."
    ),
    "VALUE_WRONG_VR": Condition(
        "The file gives an attribute a VR that its column cannot hold; the column is NULL.", "The value is in header."
    ),
    "PARSED_BY_PYDICOM": Condition("The kernel left this header to pydicom.", "Nothing to do."),
    "CATALOGUE_DOCUMENT": Condition(
        "The catalogue's document is not of a layout that Cairn reads: no path, or a block of another kind.",
        "Look at the document by its id; correct or delete it.",
    ),
    "CATALOGUE_LAYOUT": Condition(
        "The catalogue's document was written by a newer Cairn.", "Pull with that release, or push the entry anew."
    ),
    "CATALOGUE_PARTS_MISSING": Condition(
        "Pieces of a large document are missing from the catalogue or damaged.", "Push the entry anew."
    ),
    "CATALOGUE_GONE": Condition(
        "The catalogue's document was deleted while the catalogue was read.",
        "Nothing to do; the next pull looks again.",
    ),
    "CATALOGUE_DUPLICATE": Condition(
        "Several documents of the catalogue name one entry; the one that was inserted last counts.",
        "Delete the others.",
    ),
    "CATALOGUE_NOT_IN_ARCHIVE": Condition(
        "The catalogue names an entry that the inventory does not have.",
        "Check catalogue.archive_root, or run inventory over that part of the archive; the next pull tries again.",
    ),
    "CATALOGUE_ENTRY_CHANGED": Condition(
        "The entry in the archive is not the one that the catalogue describes.", "Run headers; it reads the entry."
    ),
    "CATALOGUE_ELEMENT": Condition(
        "An element of a catalogue's document has a name or value that DICOM does not have; it was left out.",
        "Read the entry by headers if the element matters.",
    ),
    "CATALOGUE_CHARSET": Condition(
        "Text of a catalogue's document does not fit the character set that it declares; UTF-8 was declared instead.",
        "Nothing to do.",
    ),
    "DEID_DOCUMENT": Condition(
        "The entry holds an encapsulated document, which no rule admits; de-identification withholds it.",
        "Admit its media type in the profile, with a reason, if documents of that kind hold no identifiers.",
    ),
    "DEID_UNREADABLE": Condition(
        "The entry's structure leaves doubt about what belongs to what; de-identification withholds it.",
        "Ask the source for the file again.",
    ),
    "DEID_TRAILING_BYTES": Condition(
        "Bytes behind the last element are no DICOM; they were left out.", "Nothing to do."
    ),
    "DEID_PIXELS_TRUNCATED": Condition(
        "The entry ends within its pixel data; the length was corrected.", "Ask the source for the file again."
    ),
    "DEID_OVERLAY_IN_PIXELS": Condition(
        "An overlay lies in the unused bits of the pixel data, which were not changed.",
        "Have the pixels examined for text before the file leaves.",
    ),
    "DEID_OWN_VALUE": Condition(
        "A value that no rule acts on held an identifying value of its own file; it was cleaned.", "Nothing to do."
    ),
    "DEID_LEAK": Condition(
        "The verifier found an identifying value in what de-identification made; it is withheld.",
        "Report the entry id and the places in the verifier's report to the developers.",
    ),
    "DEID_UNVERIFIABLE": Condition(
        "The verifier cannot read the entry, so nobody can say that what was made of it tells nothing.",
        "Ask the source for the file again; send the entry id to the developers if other tools read it.",
    ),
    "DEID_PIXEL_TEXT_SUSPECTED": Condition(
        "The header, or a device rule, says that there is text in the pixels, though none was found.",
        "Have the pixels examined; scrub --pass-pixels lets such images pass, marked in the report.",
    ),
    "DEID_PIXELS_UNEXAMINED": Condition(
        "Not all of the image's pixels could be decoded or were looked at, so nobody knows of text in them.",
        "Have them examined before the file leaves; scrub --pass-pixels lets such images pass, marked in the report.",
    ),
    "OPTED_OUT": Condition("The person has opted out; the entry stays.", "Nothing to do."),
    "EXTRACT_REVIEW_RULE": Condition(
        "A rule of the project reports a value that stayed in the header; the file is withheld.",
        "Look at the value, then change the rule, or have the profile act on that attribute.",
    ),
    "EXTRACT_NO_VOLUME": Condition(
        "dcm2niix does not make volumes of all images of the series; the series stays.",
        "Reports, radiographs and damaged series are no volumes: ask for images.form dicom or both to have them.",
    ),
    "EXTRACT_VOLUME_LEAK": Condition(
        "The verifier finds something in what a volume's files say; the series stays.",
        "Report it: what it was made of had been found clean.",
    ),
    "DEID_PERSON_UNCLEAR": Condition(
        "PatientID holds several numbers that may be different people's: nobody can say whose images these are.",
        "Ask the source which number is right; the entry stays until it is sent again with one.",
    ),
    "DEID_UID_CLASH": Condition(
        "Another entry has the same SOPInstanceUID beyond; this one stays.",
        "Run series, which decides which entry of a repeated image is primary, then deidentify again.",
    ),
    "PIXELS_UNDESCRIBED": Condition(
        "Rows, Columns, Bits Allocated or Samples per Pixel are missing or impossible.", "Ask the source for the file."
    ),
    "PIXELS_UNFORESEEN": Condition(
        "The pixels met a fault of the program that nobody foresaw; the other entries went on.",
        "Send the entry id to the developers; a new version tries again.",
    ),
    "DEVICE_RULES_WRONG": Condition(
        "The device rules are wrong at {rule}: {why}.", "Mend the file; its first lines say how a rule is written."
    ),
    "TESSERACT_MISSING": Condition(
        "The settings ask for tesseract, which is not installed here.",
        "Install it on every worker (Debian: tesseract-ocr), or leave it out of pixels.text_engines.",
        EXIT_ENVIRONMENT,
    ),
    "PIXELS_EMPTY": Condition("The pixel data element holds no frame.", "Ask the source for the file again."),
    "PIXELS_TRUNCATED": Condition(
        "The pixel data ends early; what is there was measured.", "Ask the source for the file again."
    ),
    "PIXELS_TOO_LONG": Condition("The pixel data is longer than its frames; the rest was left.", "Nothing to do."),
    "PIXELS_ENCAPSULATED": Condition(
        "The transfer syntax is a native one and the pixel data is encapsulated; it was read as such.", "Nothing to do."
    ),
    "PIXELS_NOT_ENCAPSULATED": Condition(
        "The transfer syntax is a compressed one and the pixel data is not encapsulated; it was read as native.",
        "Compare an image with the source's display.",
    ),
    "PIXELS_NOT_FINITE": Condition("Float pixels hold NaN or infinity; they were left out.", "Nothing to do."),
    "PIXELS_UNUSED_BITS": Condition(
        "Bits above or below the stored ones are set, as an old overlay's are; they were masked.",
        "Have the pixels examined for text before the file leaves.",
    ),
    "BITS_STORED_WRONG": Condition("Bits Stored is none or above Bits Allocated, which was taken.", "Nothing to do."),
    "NUMBER_OF_FRAMES_WRONG": Condition("Number of Frames is no count; one frame was taken.", "Ask the source."),
    "OFFSET_TABLE_BROKEN": Condition(
        "An offset table does not fit the fragments; frames were told apart without it.", "Nothing to do."
    ),
    "OFFSET_TABLE_MISSING": Condition("Pixel data begins without the item of its offset table.", "Nothing to do."),
    "FRAGMENTS_BROKEN": Condition(
        "The sequence of fragments breaks; what came before was read.", "Ask the source for the file again."
    ),
    "FRAMES_MISSING": Condition(
        "There are fewer frames than Number of Frames says; those were measured.", "Ask the source for the file again."
    ),
    "FRAMES_TOO_MANY": Condition(
        "There are more frames than Number of Frames says; they were left.", "Ask the source."
    ),
    "FRAMES_SAMPLED": Condition("Not every frame was measured, by the rule for large images.", "Nothing to do."),
    "FRAME_SHAPE_DIFFERS": Condition(
        "The compressed image has another shape than the header says; its own counts.", "Ask the source for the file."
    ),
    "FRAME_UNDECODABLE": Condition("No decoder reads the frame.", "Ask the source for the file again."),
    "FRAME_TOO_LARGE": Condition("A frame is larger than the limit.", "Raise the limit if the image is genuine."),
    "TRANSFER_SYNTAX_UNSUPPORTED": Condition(
        "The frames are compressed in a way for which there is no decoder, such as MPEG.",
        "Have the source send another transfer syntax.",
    ),
    "DECODER_CRASHED": Condition(
        "The decoder's process died of the frame; another one went on with the next file.",
        "Send the entry id to the developers; the file is damaged or hostile.",
    ),
    "DECODER_TIMEOUT": Condition(
        "The decoder did not come to an end within the limit and was stopped.",
        "Raise the limit if the machine is slow; else the file is damaged or hostile.",
    ),
    "CHI_MISSING": Condition("The row names no person.", "Nothing to do where it holds totals; else ask the source."),
    "CHI_BLANK": Condition("The person's number is blank.", "Ask the source."),
    "CHI_TOO_SHORT": Condition("The CHI has too few digits.", "Ask the source; nine digits are completed."),
    "CHI_TOO_LONG": Condition("The CHI has too many digits.", "Ask the source."),
    "CHI_NOT_DIGITS": Condition(
        "The CHI holds characters other than digits.", "Map it as a local number if it is one."
    ),
    "CHI_DATE": Condition("The CHI does not begin with a date; placeholders look so.", "Ask the source."),
    "CHI_CHECK_DIGIT": Condition("The check digit of the CHI is wrong by modulus 11 and 10.", "Ask the source."),
    "EHR_ROW_WIDTH": Condition("The row has more or fewer fields than the header.", "Ask the source; quote the text."),
    "EHR_REQUIRED": Condition("A field without which the record means nothing is empty.", "Ask the source."),
    "EHR_DATE": Condition("The date has none of the forms that the mapping names.", "Add the form to the mapping."),
    "EHR_NUMBER": Condition("The value is no number.", "Correct the mapping's kind, or ask the source."),
    "EHR_VALUE_UNKNOWN": Condition("The value is none of those that the mapping lists.", "Add it to the mapping."),
    "EHR_CODE": Condition("The value has not the form of its code system.", "Correct the mapping, or ask the source."),
    "EHR_ENCODING": Condition("The value holds bytes outside the encoding.", "Correct the mapping's encoding."),
    "EHR_ALIAS_LOOP": Condition("Replaced numbers point at each other in a circle.", "Ask the register."),
    "REDACTION_FRAME_MISSING": Condition(
        "A box names a frame that the image does not have.", "Look for text again; the boxes are of another file."
    ),
    "REDACTION_PLANE_UNKNOWN": Condition(
        "A box names an overlay or a bit that the image does not have.",
        "Look for text again; the boxes are of another file.",
    ),
    "REDACTION_BOX_CLIPPED": Condition("A box reached beyond the image and was clipped.", "Nothing to do."),
    "REDACTION_BOX_OUTSIDE": Condition(
        "A box lies outside of the image; nothing was blanked for it.", "Check the device rule or the list of boxes."
    ),
    "REDACTION_BOX_WIDENED": Condition(
        "A box was widened by a column, for two pixels share their colour there.", "Nothing to do."
    ),
    "REDACTION_SURPLUS_BLANKED": Condition(
        "The pixel data was longer than its frames; what lay behind them, which nobody can look at, was blanked.",
        "Check Number of Frames at the source.",
    ),
    "REDACTION_SYNTAX_CHANGED": Condition(
        "The redacted image is stored in another transfer syntax, without loss.", "Nothing to do."
    ),
    "REDACTION_HEADER": Condition(
        "The header cannot be edited safely, so the image was not redacted.", "Withhold it, or mend it at the source."
    ),
    "REDACTION_PIXELS_BROKEN": Condition(
        "Pixel data is missing or broken, so the image was not redacted.", "Ask the source for the file again."
    ),
    "REDACTION_SHAPE": Condition(
        "A decoded frame is not of the shape and depth that the header states, so boxes may not fit it.",
        "Withhold it, or mend it at the source.",
    ),
    "REDACTION_UNSUPPORTED": Condition(
        "Pixels of this kind, such as video, cannot be redacted.", "Withhold it, or have it converted at the source."
    ),
    "REDACTION_ENCODER": Condition(
        "No encoder gave the redacted pixels back unchanged, so the image was not redacted.",
        "Withhold it; send the entry id to the developers.",
    ),
    "REDACTION_SURVIVOR": Condition(
        "Text was still found in the pixels after redaction.", "Have the pixels examined before the file leaves."
    ),
}

# Faults of the request or the environment: what a job ends with.
REQUEST_CONDITIONS: dict[str, Condition] = {
    "UNKNOWN_JOB": Condition(
        "There is no job {name!r}.", "{nearest} Run spark-submit.sh without arguments for the list.", EXIT_USAGE
    ),
    "UNKNOWN_SETTING": Condition(
        "There is no setting {name!r} in {where}.", "{nearest} docs/settings.md lists all of them.", EXIT_USAGE
    ),
    "BAD_SETTING": Condition("Setting {name} cannot be {value!r}: {why}.", "Correct it in {where}.", EXIT_USAGE),
    "SETTINGS_UNREADABLE": Condition(
        "The settings file {path} cannot be read: {why}.", "Correct --settings.", EXIT_USAGE
    ),
    "SOURCE_MISSING": Condition("There is nothing at {path}.", "Check the path; nothing was changed.", EXIT_USAGE),
    "TABLE_MISSING": Condition("Table {table} does not exist yet.", "Run {job} first.", EXIT_USAGE),
    "CONTRACT_BROKEN": Condition(
        "The frame for {table} breaks its contract: {why}.", "Correct the job that made it; nothing was written."
    ),
    "OUTPUT_NOT_EMPTY": Condition(
        "The folder {path} is not empty.", "Name a new folder; nothing was changed.", EXIT_USAGE
    ),
    "STAGE_BUSY": Condition(
        "Another run of stage {stage} is at work ({owner}).",
        "Wait for it to end; a dead run is recognised after scratch.dead_after_seconds.",
    ),
    "WORKER_DIFFERS": Condition(
        "A worker of stage {stage} has other keys, rules or code than the driver.",
        "Bring the same release and key files to every machine, change neither while a job runs, and run again.",
        EXIT_ENVIRONMENT,
    ),
    "STAGE_FAILED": Condition(
        "Stage {stage} failed in a worker: {why}.", "What was committed stays; correct the cause and run again."
    ),
    "INTENT_BROKEN": Condition(
        "Batch {batch} of run {run} of stage {stage} is in some tables, and its files for the others are gone.",
        "Restore the tables to their versions before that run, remove the note in _intents, run again.",
    ),
    "INTENTS_LEFT": Condition(
        "Batches that killed runs left half committed wait to be finished: {stages}.",
        "Start these stages once more; then maintain again.",
    ),
    "OPT_OUTS_PENDING": Condition(
        "The de-identified zone still holds rows of persons who opted out: {tables}.",
        "Run deidentify with the same list of opt-outs; then maintain again.",
        EXIT_GATE,
    ),
    "SERVE_OPEN": Condition(
        "Listening on {host}, other machines could ask without saying who they are.",
        "Set hive.server2.authentication (spark.conf) for JDBC and SPARK_CONNECT_AUTHENTICATE_TOKEN for Spark Connect, "
        "or serve on 127.0.0.1 behind a tunnel.",
        EXIT_USAGE,
    ),
    "TABLE_MOVED": Condition(
        "Another writer changed {table} since it was looked at, so it was not exchanged.",
        "Run reprocess swap again when nothing else writes the table.",
    ),
    "REPROCESS_CLOSED": Condition(
        "The tables beside the live ones do not pass: {told}.",
        "Nothing was swapped. Correct the cause, then reprocess run --anew; reprocess status tells what there is.",
        EXIT_GATE,
    ),
    "REPROCESS_NONE": Condition("There is nothing to {action}.", "{nearest} Run reprocess status.", EXIT_USAGE),
    "REPROCESS_OPEN": Condition(
        "Another reprocess is open: {told}.",
        "Run it to its end with the same options, or give it up by reprocess discard.",
        EXIT_USAGE,
    ),
    "REPROCESS_OTHER_CODE": Condition(
        "The tables beside the live ones were begun by another version of the code.",
        "Run reprocess run --anew, or go on with that version.",
        EXIT_USAGE,
    ),
    "ROLLBACK_GONE": Condition(
        "Files of {table} as it was before the swap are gone.",
        "VACUUM removes them after its retention; run reprocess with the earlier code instead.",
        EXIT_USAGE,
    ),
    "SQL_WRITES": Condition(
        "The SQL shell only reads; {kind} would write.",
        "Tables are written by jobs; keep results in a notebook.",
        EXIT_USAGE,
    ),
    "SQL_FAILED": Condition(
        "Spark refuses the statement: {why}.", "Correct it; DESCRIBE shows the columns.", EXIT_USAGE
    ),
    "ENTRIES_LOST": Condition(
        "Stage {stage} was given {given} entries and accounted for {accounted}.",
        "Nothing of the batch was committed; send the stage's name and the run id to the developers.",
    ),
    "UNKNOWN_OPTION": Condition(
        "{job} has no option {name!r}.", "{nearest} {job} --help lists its options.", EXIT_USAGE
    ),
    "BAD_ARGUMENTS": Condition("{job}: {why}.", "{nearest} {job} --help tells what it takes.", EXIT_USAGE),
    "OPTION_INCOMPLETE": Condition("Option {name} lacks its value.", "Give it one: {name} VALUE.", EXIT_USAGE),
    "PROPERTIES_UNREADABLE": Condition(
        "The properties file {path} cannot be read: {why}.", "Correct --properties-file.", EXIT_USAGE
    ),
    "JOB_UNREADABLE": Condition("The file of job {name!r} in jobs/ is no Python.", "Restore it from the repository."),
    "UNKNOWN_EXTRA": Condition(
        "There is no extra {name!r}.",
        "{nearest} Correct CAIRN_EXTRAS; requirements/ holds a lock for each.",
        EXIT_USAGE,
    ),
    "UNFORESEEN": Condition(
        "The job ended with {kind}.",
        "Send the lines below to the developers; {switch}=1 shows the message too, which may hold values.",
    ),
    "PYTHON_MISSING": Condition(
        "There is no Python 3.11, 3.12 or 3.13 on PATH.",
        "Install one of them, or set CAIRN_PYTHON to where it is.",
        EXIT_ENVIRONMENT,
    ),
    "PYTHON_UNSUITABLE": Condition(
        "The Python that CAIRN_PYTHON names ({path}) does not run or is none of 3.11 to 3.13.",
        "Set CAIRN_PYTHON to one that is.",
        EXIT_ENVIRONMENT,
    ),
    "JAVA_MISSING": Condition(
        "There is no Java {where}.",
        "Install Java {oldest} or newer, or set JAVA_HOME to where it is.",
        EXIT_ENVIRONMENT,
    ),
    "JAVA_TOO_OLD": Condition(
        "The Java at {path} is version {version}, and Spark needs {oldest} or newer.",
        "Install a newer one, or set JAVA_HOME to where it is.",
        EXIT_ENVIRONMENT,
    ),
    "VENV_MISSING": Condition(
        "The Python at {path} cannot make virtual environments.",
        "Install its venv module (on Debian and Ubuntu the package python3-venv), or set CAIRN_PYTHON to another.",
        EXIT_ENVIRONMENT,
    ),
    "NO_NETWORK": Condition(
        "The {what} could not be downloaded.",
        "Check the network, the proxy and pip's configuration ({log} tells more), then run again.",
        EXIT_ENVIRONMENT,
    ),
    "HASH_MISMATCH": Condition(
        "What was downloaded for the {what} is not what the lock in requirements/ names.",
        "Do not use that package source; {log} tells what differs.",
        EXIT_ENVIRONMENT,
    ),
    "SETUP_FAILED": Condition("The {what} could not be made.", "{log} tells why.", EXIT_ENVIRONMENT),
    "HOME_NOT_WRITABLE": Condition(
        "The environment's folder {path} cannot be written: {why}.",
        "Set CAIRN_HOME to a folder of yours, or correct its permissions.",
        EXIT_ENVIRONMENT,
    ),
    "DISK_SHORT": Condition(
        "The environment needs about {needed} MB, and {path} has {free} MB left.",
        "Free some space, or set CAIRN_HOME to a folder on another disk.",
        EXIT_ENVIRONMENT,
    ),
    "NO_DISK": Condition("There is no space left at {path}.", "Free some space and run again.", EXIT_ENVIRONMENT),
    "KEYS_UNSET": Condition(
        "Nothing says where the keys lie.",
        "Give --keys DIR, or the setting keys.directory; keys make makes one.",
        EXIT_USAGE,
    ),
    "KEY_MISSING": Condition(
        "There is no key at {path}.", "Make it by the job keys (keys make), or correct --keys.", EXIT_USAGE
    ),
    "KEY_UNSAFE": Condition(
        "The key {path} is not safe: {why}.",
        "Give it mode 0600 in a folder of yours, as a plain file; if others may have seen it, make a new one.",
        EXIT_USAGE,
    ),
    "KEY_LENGTH": Condition(
        "The key {path} has {length} bytes, not 32.", "Make a new one by keys make; do not type keys.", EXIT_USAGE
    ),
    "KEY_WEAK": Condition(
        "The key {path} is no random one.", "Make a new one by keys make; do not type keys.", EXIT_USAGE
    ),
    "KEY_EXISTS": Condition(
        "There is a key at {path} already; it was not touched.", "To replace it, run keys rotate.", EXIT_USAGE
    ),
    "KEY_NAME": Condition(
        "A project cannot be called {name!r}.", "Use lower-case letters, digits, - and _, at most 63.", EXIT_USAGE
    ),
    "PROJECT_MISSING": Condition(
        "There is no project {name!r} in {folder}.",
        "{nearest} conf/projects/README.md tells what a project says.",
        EXIT_USAGE,
    ),
    "PROJECT_WRONG": Condition(
        "The project {path} is wrong at {place}: {why}.",
        "{nearest} conf/projects/README.md tells what a project says.",
        EXIT_USAGE,
    ),
    "PROJECT_EXPIRED": Condition(
        "The approval {reference} of project {project} ended on {expires}.",
        "Nothing is made or released for it; have it renewed, and write the new date into its file.",
        EXIT_GATE,
    ),
    "SIGNING_KEY_UNSET": Condition(
        "There is no key to sign extracts with at {path}.", "Make it by keys make --signing.", EXIT_USAGE
    ),
    "REVIEW_RULES_WRONG": Condition(
        "The rules in {path} are wrong at {place}: {why}.",
        "{nearest} They have the form of IsIdentifiable's BasicRules and AllowlistRules.",
        EXIT_USAGE,
    ),
    "REVIEW_REPORT_WRONG": Condition(
        "The report {path} is wrong at line {line}: {why}.", "It has the form of IsIdentifiable's reports.", EXIT_USAGE
    ),
    "PUBLIC_KEY_UNREADABLE": Condition(
        "The public key {path} cannot be read: {why}.", "Ask who signs the extracts for it.", EXIT_USAGE
    ),
    "MANIFEST_MISSING": Condition(
        "{path} has no signed manifest: {why}.",
        "Give the folder of an extract; ask for it again if that is one.",
        EXIT_GATE,
    ),
    "MANIFEST_UNKNOWN": Condition(
        "The manifest in {path} is of a form that this version does not know: {format}.",
        "Use a newer Cairn.",
        EXIT_GATE,
    ),
    "MANIFEST_BROKEN": Condition(
        "The list of files in {path} is not the one that was signed.",
        "Do not use the extract; ask for it again.",
        EXIT_GATE,
    ),
    "SIGNATURE_WRONG": Condition(
        "The manifest in {path} was not signed with this key, or was changed since.",
        "Do not use the extract; check the public key, then ask for the extract again.",
        EXIT_GATE,
    ),
    "TERMS_DIFFER": Condition(
        "The de-identified zone was made under other rules or keys than these.",
        "Run deidentify under the profile, keys and shift of now, freeze the cohort anew, then extract.",
        EXIT_GATE,
    ),
    "EXTRACT_DIFFERS": Condition(
        "{count} files of the extract {extract} are not as its manifest says: {told}.",
        "Do not use it. Where it was made: remove its staging folder and run extract again.",
        EXIT_GATE,
    ),
    "EXTRACT_LEAK": Condition(
        "The verifier found identifying values in keys of the extract {extract}: {told}.",
        "Nothing was signed. Report tables and columns to the developers, or leave the tables out.",
        EXIT_GATE,
    ),
    "EXTRACT_MISSING": Condition(
        "There is no extract {extract} of project {project} in state {state}.",
        "{nearest} Run extract first; extract --list shows what there is.",
        EXIT_USAGE,
    ),
    "EXTRACT_SHORT": Condition(
        "What lies in the staging folder of {extract} is not what the run wrote: {told}.",
        "Run extract again; if it stays so, remove the staging folder first.",
    ),
    "EXTRACT_EXISTS": Condition(
        "The extract {extract} was released already, with another content.",
        "Nothing was changed; a release is never replaced. Freeze the cohort anew for another extract.",
        EXIT_GATE,
    ),
    "EXTRACT_STALE": Condition(
        "The extract {extract} holds files of persons who opted out or were withdrawn since it was made.",
        "Run extract again, then release.",
        EXIT_GATE,
    ),
    "PPZ_NOT_LOCAL": Condition(
        "The root of the project zones, {path}, is no folder of a file system, so a release cannot appear at once.",
        "Set warehouse.ppz to a folder (a mounted one will do), and copy released extracts from there.",
        EXIT_USAGE,
    ),
    "PROFILE_UNREADABLE": Condition(
        "The de-identification profile {path} cannot be read: {why}.",
        "Correct it; conf/deid holds examples.",
        EXIT_USAGE,
    ),
    "PROFILE_RULE": Condition(
        "The de-identification profile {path} is wrong at {place}: {why}.",
        "{nearest} conf/deid/README.md tells what a rule may say.",
        EXIT_USAGE,
    ),
    "EHR_UNDATED": Condition(
        "The name of the file {name} holds no date, so nobody can say which delivery is the later one.",
        "Give --delivered-on YYYY-MM-DD.",
        EXIT_USAGE,
    ),
    "REPORT_INSIDE": Condition(
        "The report {path} would lie in the output folder, and it holds original paths.",
        "Name a file outside of it, on the identifiable side.",
        EXIT_USAGE,
    ),
    "QUALITY_GATE_CLOSED": Condition(
        "The tables are not fit for {stage}: {count} expectations failed ({told}).",
        "Nothing went on. quality --docs DIR shows all of them; correct the cause and run again, or, where tables were "
        "meant to change so much, quality --accept.",
        EXIT_GATE,
    ),
    "QUALITY_NO_SUITE": Condition(
        "Nothing is expected of a table {name!r}.",
        "{nearest} docs/quality.md tells of which tables there is a suite.",
        EXIT_USAGE,
    ),
    "RULE_MISSING": Condition(
        "The table {table} has columns without a de-identification rule: {columns}.",
        "Add them to the table's contract, each with its rule; nothing crosses until then.",
        EXIT_GATE,
    ),
    "OPT_OUTS_UNREADABLE": Condition(
        "The list of opt-outs {path} cannot be read.", "Correct the path; it is UTF-8 text, one CHI a line.", EXIT_USAGE
    ),
    "OPT_OUTS_INVALID": Condition(
        "The list of opt-outs {path} has {count} lines that are no CHI: {lines}.",
        "Correct them: who cannot be recognised could cross by mistake.",
        EXIT_USAGE,
    ),
    "UNKNOWN_TAG": Condition(
        "{name!r} is no tag and no keyword.", "{nearest} Write (0010,0010), 00100010 or PatientName.", EXIT_USAGE
    ),
    "MAPPING_UNREADABLE": Condition(
        "The mapping {path} cannot be read: {why}.", "Correct it; conf/ehr holds examples.", EXIT_USAGE
    ),
    "MAPPING_RULE": Condition(
        "The mapping {path} is wrong at {place}: {why}.",
        "{nearest} docs/health-records.md tells what a mapping may say.",
        EXIT_USAGE,
    ),
    "MAPPING_COLUMNS": Condition(
        "The source lacks {columns} that mapping {mapping} needs.",
        "{nearest} Choose another mapping, or name the source's columns in it.",
        EXIT_USAGE,
    ),
    "COHORT_UNREADABLE": Condition(
        "The definition {path} cannot be read: {why}.", "Correct it; conf/cohorts holds examples.", EXIT_USAGE
    ),
    "COHORT_RULE": Condition(
        "{path}:{line}: {place}: {why}.", "{nearest} docs/cohorts.md tells the language.", EXIT_USAGE
    ),
    "CODELIST_UNREADABLE": Condition(
        "The code list {path} cannot be read: {why}.",
        "Correct it; docs/cohorts.md tells the columns of a code list.",
        EXIT_USAGE,
    ),
    "COHORT_NOT_FROZEN": Condition(
        "Cohort {cohort} has not been frozen ({number}); frozen versions: {known}.",
        "Run cohort freeze first, or name one of these.",
        EXIT_USAGE,
    ),
    "COHORT_COLUMN": Condition(
        "The tables of this warehouse lack the column {column} that the definition reads.",
        "Run the jobs that make them again: they bring tables up to date.",
        EXIT_USAGE,
    ),
    "COHORT_VERSION_GONE": Condition(
        "A table is no longer kept as it was at the version that the list read.",
        "Use the frozen list itself, in deidentified.cohort_member.",
        EXIT_USAGE,
    ),
    "COHORT_DIFFERS": Condition(
        "Version {number} of cohort {cohort} made anew has other members than the frozen list.",
        "Use the frozen list, and send the cohort's name and the run id to the developers.",
        EXIT_GATE,
    ),
    "CATALOGUE_UNSET": Condition(
        "No catalogue is set.",
        "Put the MongoDB URI into a file of mode 0600 and name it in catalogue.uri_file, or export {variable}.",
        EXIT_USAGE,
    ),
    "CATALOGUE_SECRET_UNSAFE": Condition(
        "The file {path} with the catalogue's URI is not safe: {why}.", "Make it readable, with chmod 600.", EXIT_USAGE
    ),
    "CATALOGUE_OPTIONS": Condition(
        "The driver refuses the catalogue's URI or options ({kind}).",
        "Correct the URI and catalogue.options; files that options name must exist.",
        EXIT_USAGE,
    ),
    "CATALOGUE_ROOT_UNSET": Condition(
        "The catalogue holds documents with relative paths, and nothing says what they are relative to.",
        "Set catalogue.archive_root to the URI that inventory was given.",
        EXIT_USAGE,
    ),
    "CATALOGUE_OF_ANOTHER": Condition(
        "The catalogue {database} mirrors {table} of another warehouse, or of this one before the table was made anew.",
        "Name another database (catalogue.database), or let this warehouse take its place: push --take-over.",
        EXIT_USAGE,
    ),
    "CATALOGUE_UNREACHABLE": Condition(
        "The catalogue's server does not answer ({kind}).",
        "Check that it runs, the URI, network and TLS options; run again, what was written stays.",
        EXIT_ENVIRONMENT,
    ),
    "CATALOGUE_REFUSED": Condition(
        "The catalogue's server refuses a command (code {number}).",
        "Codes 13 and 18: check user, password and roles; others: see the server's log. What was written stays.",
        EXIT_ENVIRONMENT,
    ),
    "OUTPUT_INSIDE": Condition(
        "{path} would lie in the folder that is verified, and become a part of what leaves.",
        "Name a place outside of it.",
        EXIT_USAGE,
    ),
    "MATCHES_UNREADABLE": Condition(
        "The list of matches {path} cannot be read: {why}.",
        "Give scrub's report, or a CSV file with the columns entry (the original) and output (the file made of it).",
        EXIT_USAGE,
    ),
    "NO_ORIGINALS": Condition(
        "None of the originals in {path} can be read, so nothing is known to look for.",
        "Name the folder of the original DICOM files first, then the folder that leaves.",
        EXIT_USAGE,
    ),
}

CONDITIONS: dict[str, Condition] = {**ENTRY_CONDITIONS, **REQUEST_CONDITIONS}


@dataclass(frozen=True, order=True)
class Finding:
    """A fault in the data, as a value that travels in the row.

    Parameters
    ----------
    code : str
        A key of :data:`CONDITIONS`.
    place : str
        Where: a tag path such as ``(0018,0050)``; never the value.
    """

    code: str
    place: str = ""


class CairnError(Exception):
    """A request that cannot be carried out.

    Parameters
    ----------
    code : str
        A key of :data:`CONDITIONS`.
    **blanks : object
        Values for the named blanks of its message and remedy.
    """

    def __init__(self, code: str, **blanks: object) -> None:
        condition = CONDITIONS[code]
        self.code = code
        self.exit_code = condition.exit_code
        text = f"{condition.message.format(**blanks)} {condition.remedy.format(**blanks)}"
        super().__init__(f"[{code}] {' '.join(text.split())}")


class EntryError(CairnError):
    """A fault of one archive entry, on its way to a row of ``quarantine``."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` for the closest known name, or an empty string.

    Parameters
    ----------
    name : str
        What was asked for.
    known : iterable of str
        What exists.

    Returns
    -------
    str
        A sentence, or ``""`` when nothing is close.
    """
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else ""
