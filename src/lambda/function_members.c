/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/function_members.h"

enum { TIMEOUT_MAX = 900 };

static const char *const PACKAGES[] = {"Zip", "Image", NULL};
static const char *const TRACING_MODES[] = {"Active", "PassThrough", NULL};
static const char *const SNAP_STARTS[] = {"PublishedVersions", "None", NULL};
static const char *const ARCHITECTURES[] = {"x86_64", "arm64", NULL};
static const char *const LOG_FORMATS[] = {"JSON", "Text", NULL};
static const char *const APPLICATION_LEVELS[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", NULL};
static const char *const SYSTEM_LEVELS[] = {"DEBUG", "INFO", "WARN", NULL};
static const char *const VERSIONS[] = {"ALL", NULL};

#define ARN_PATTERN "(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()"

static const struct lambda_member TEXT[] = {{.type = LAMBDA_STRING}, {0}};
static const struct lambda_member VARIABLE[] = {{.name = "[a-zA-Z]([a-zA-Z0-9_])+", .type = LAMBDA_STRING}, {0}};
static const struct lambda_member TAG[] = {{.name = ".*", .type = LAMBDA_STRING}, {0}};
static const struct lambda_member ARCHITECTURE[] = {{.type = LAMBDA_STRING, .choices = ARCHITECTURES}, {0}};
static const struct lambda_member LAYER[] = {
    {.type = LAMBDA_STRING,
     .bounded = true,
     .min = 1,
     .max = 140,
     .pattern = "arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+",
     .ere = "arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]+:[0-9]+"},
    {0},
};
static const struct lambda_member VPC[] = {
    {.name = "SubnetIds", .type = LAMBDA_LIST, .bounded = true, .max = 16, .members = TEXT},
    {.name = "SecurityGroupIds", .type = LAMBDA_LIST, .bounded = true, .max = 5, .members = TEXT},
    {0},
};
static const struct lambda_member DEAD_LETTER[] = {
    {.name = "TargetArn", .pattern = ARN_PATTERN, .ere = "(arn:(aws[a-zA-Z-]*)?:[a-z0-9.-]+:.*)?"}, {0}};
static const struct lambda_member ENVIRONMENT[] = {{.name = "Variables", .type = LAMBDA_MAP, .members = VARIABLE}, {0}};
static const struct lambda_member TRACING[] = {{.name = "Mode", .choices = TRACING_MODES}, {0}};
static const struct lambda_member STORAGE[] = {
    {.name = "Size", .type = LAMBDA_INTEGER, .required = true, .bounded = true, .min = 512, .max = 10240}, {0}};
static const struct lambda_member SNAP_START[] = {{.name = "ApplyOn", .choices = SNAP_STARTS}, {0}};
static const struct lambda_member LOGGING[] = {
    {.name = "LogFormat", .choices = LOG_FORMATS},
    {.name = "ApplicationLogLevel", .choices = APPLICATION_LEVELS},
    {.name = "SystemLogLevel", .choices = SYSTEM_LEVELS},
    {.name = "LogGroup",
     .bounded = true,
     .min = 1,
     .max = 512,
     .pattern = "[\\.\\-_/#A-Za-z0-9]+",
     .ere = "[._/#A-Za-z0-9-]+"},
    {0},
};
static const struct lambda_member FILE_SYSTEM_PARTS[] = {
    {.name = "Arn", .required = true}, {.name = "LocalMountPath", .required = true}, {0}};
static const struct lambda_member FILE_SYSTEM[] = {{.type = LAMBDA_STRUCTURE, .members = FILE_SYSTEM_PARTS}, {0}};

#define CODE_MEMBERS                                                                                                   \
    {.name = "ZipFile", .type = LAMBDA_BLOB},                                                                          \
        {.name = "S3Bucket",                                                                                           \
         .bounded = true,                                                                                              \
         .min = 3,                                                                                                     \
         .max = 63,                                                                                                    \
         .pattern = "^[0-9A-Za-z\\.\\-_]*(?<!\\.)$",                                                                   \
         .ere = "[0-9A-Za-z._-]*[0-9A-Za-z_-]"},                                                                       \
        {.name = "S3Key", .bounded = true, .min = 1, .max = 1024},                                                     \
        {.name = "S3ObjectVersion", .bounded = true, .min = 1, .max = 1024},                                           \
    {                                                                                                                  \
        .name = "ImageUri"                                                                                             \
    }

const struct lambda_member function_code_members[] = {CODE_MEMBERS, {0}};

/* What a function is configured with, in Create and Update. The runtime's names are the handler's business, as the service tells of them itself. */
#define CONFIGURATION_MEMBERS                                                                                          \
    {.name = "Runtime"},                                                                                               \
        {.name = "Handler", .bounded = true, .min = 0, .max = 128, .pattern = "[^\\s]+", .ere = "[^[:space:]]+"},      \
        LAMBDA_DESCRIPTION,                                                                                            \
        {.name = "Timeout", .type = LAMBDA_INTEGER, .bounded = true, .min = 1, .max = TIMEOUT_MAX},                    \
        {.name = "MemorySize", .type = LAMBDA_INTEGER, .bounded = true, .min = 128, .max = 10240},                     \
        {.name = "VpcConfig", .type = LAMBDA_STRUCTURE, .members = VPC},                                               \
        {.name = "DeadLetterConfig", .type = LAMBDA_STRUCTURE, .members = DEAD_LETTER},                                \
        {.name = "Environment", .type = LAMBDA_STRUCTURE, .members = ENVIRONMENT},                                     \
        {.name = "KMSKeyArn", .pattern = ARN_PATTERN, .ere = "(arn:(aws[a-zA-Z-]*)?:[a-z0-9.-]+:.*)?"},                \
        {.name = "TracingConfig", .type = LAMBDA_STRUCTURE, .members = TRACING},                                       \
        {.name = "Layers", .type = LAMBDA_LIST, .members = LAYER},                                                     \
        {.name = "FileSystemConfigs", .type = LAMBDA_LIST, .bounded = true, .max = 1, .members = FILE_SYSTEM},         \
        {.name = "EphemeralStorage", .type = LAMBDA_STRUCTURE, .members = STORAGE},                                    \
        {.name = "SnapStart", .type = LAMBDA_STRUCTURE, .members = SNAP_START},                                        \
    {                                                                                                                  \
        .name = "LoggingConfig", .type = LAMBDA_STRUCTURE, .members = LOGGING                                          \
    }

#define ROLE_PATTERN                                                                                                   \
    .pattern = "arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",                                      \
    .ere = "arn:(aws[a-zA-Z-]*)?:iam::[0-9]{12}:role/?[a-zA-Z_0-9+=,.@/-]+"
#define ARCHITECTURES_MEMBER                                                                                           \
    {                                                                                                                  \
        .name = "Architectures", .type = LAMBDA_LIST, .bounded = true, .min = 1, .max = 1, .members = ARCHITECTURE     \
    }

const struct lambda_member function_create_members[] = {
    {.name = "FunctionName",
     .required = true,
     .bounded = true,
     .min = 1,
     .max = 140,
     .pattern = lambda_name_pattern,
     .matches = lambda_name_matches},
    {.name = "Role", .required = true, ROLE_PATTERN},
    {.name = "Code", .type = LAMBDA_STRUCTURE, .required = true, .members = function_code_members},
    {.name = "Publish", .type = LAMBDA_BOOLEAN},
    {.name = "PackageType", .choices = PACKAGES},
    {.name = "Tags", .type = LAMBDA_MAP, .members = TAG},
    {.name = "CodeSigningConfigArn", .bounded = true, .min = 0, .max = 200},
    ARCHITECTURES_MEMBER,
    CONFIGURATION_MEMBERS,
    {0},
};

const struct lambda_member function_update_code_members[] = {
    LAMBDA_FUNCTION_NAME,
    CODE_MEMBERS,
    {.name = "Publish", .type = LAMBDA_BOOLEAN},
    {.name = "DryRun", .type = LAMBDA_BOOLEAN},
    {.name = "RevisionId"},
    ARCHITECTURES_MEMBER,
    {0},
};

const struct lambda_member function_update_configuration_members[] = {
    LAMBDA_FUNCTION_NAME, {.name = "Role", ROLE_PATTERN}, {.name = "RevisionId"}, CONFIGURATION_MEMBERS, {0},
};

const struct lambda_member function_qualified_members[] = {LAMBDA_FUNCTION_NAME, LAMBDA_QUALIFIER, {0}};

const struct lambda_member function_list_members[] = {
    {.name = "FunctionVersion", .in = LAMBDA_IN_QUERY, .choices = VERSIONS},
    {.name = "MasterRegion",
     .in = LAMBDA_IN_QUERY,
     .pattern = "ALL|[a-z]{2}(-gov)?-[a-z]+-\\d{1}",
     .ere = "ALL|[a-z]{2}(-gov)?-[a-z]+-[0-9]"},
    LAMBDA_PAGE,
    {0},
};

const struct lambda_member function_list_versions_members[] = {LAMBDA_FUNCTION_NAME, LAMBDA_PAGE, {0}};

const struct lambda_member function_publish_members[] = {
    LAMBDA_FUNCTION_NAME, {.name = "CodeSha256"}, LAMBDA_DESCRIPTION, {.name = "RevisionId"}, {0},
};
