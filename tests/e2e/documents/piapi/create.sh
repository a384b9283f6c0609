curl --location --request POST 'https://api.piapi.ai/api/v1/task' \
--header 'x-api-key;' \
--header 'Content-Type: application/json' \
--data-raw '{
    "model": "Qubico/video-toolkit",
    "task_type": "upscale",
    "input": {
        "video": "string"
    },
    "config": {
        "webhook_config": {
            "endpoint": "string",
            "secret": "string"
        }
    }
}'
