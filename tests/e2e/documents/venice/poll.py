import time

while True:
    result = requests.post(
        "https://api.venice.ai/api/v1/video/retrieve",
        headers={"Authorization": "Bearer YOUR_API_KEY"},
        json={"queue_id": queue_id},
    )
    data = result.json()

    if data.get("status") == "completed":
        print(f"Video URL: {data['url']}")
        break

    time.sleep(5)
